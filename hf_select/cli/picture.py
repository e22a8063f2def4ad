"""What can be drawn of one selection: its scores, clusters, lengths and the map of the embeddings."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from hf_select.cli.reading import Reading
from hf_select.gates.code import LANGUAGE_COLUMNS, row_languages
from hf_select.methods import Method, Scorer
from hf_select.methods.cdas import CDAS
from hf_select.report import selection_plots
from hf_select.report.figure import caption_of
from hf_select.report.gate_plots import plot_dropped
from hf_select.report.markup import Markdown, escape
from hf_select.selection import Selection
from hf_select.signals.keys import EMBEDDING, ROW_TOKENS
from hf_select.signals.table import Signals

MISSING_EXTRA = "matplotlib is not installed, so nothing is drawn; pip install 'hf-select[plots]' draws."
_MIN_MAP_ROWS = 3


def draw_selection(reading: Reading, method: Method, selection: Selection, folder: Path) -> list[tuple[str, Path]]:
    """Draw what there is data for.

    Args:
        reading: the signals that were read.
        method: the method.
        selection: its picks.
        folder: where the pictures go.

    Returns:
        Title and path of each picture; none where matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        return []
    read = [
        signal for signal in {*method.needs, ROW_TOKENS, EMBEDDING} if signal.column in reading.dataset.column_names
    ]
    aims = {task: Signals.from_dataset(rows, method.reference_needs) for task, rows in reading.reference.items()}
    signals = Signals.from_dataset(reading.dataset, read, candidates=reading.inputs.candidates, reference=aims)
    kept, drawn, seed = selection.mask(), [], selection.provenance["seed"]
    drawn += _dropped(selection, folder)
    if method.needs <= set(read) and (shown := _scores(method, signals, selection)):
        path = selection_plots.plot_scores(kept=kept, path=folder / "scores.png", seed=seed, **shown)
        drawn.append((f"{shown['name']} of kept and dropped rows", path))
    if isinstance(method, CDAS) and method.needs <= set(read):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said once, when the rows were picked
            labels = method.strata(signals, np.random.default_rng(seed))
        strata = [f"cluster {label}" if label >= 0 else "no candidate" for label in labels]
        path = selection_plots.plot_strata(strata, kept, folder / "clusters.png", name="cluster", seed=seed)
        drawn.append(("Kept and dropped rows by cluster", path))
    if languages := _languages(reading):
        path = selection_plots.plot_strata(languages, kept, folder / "languages.png", name="language", seed=seed)
        drawn.append(("Kept and dropped rows by language", path))
    if ROW_TOKENS in read:
        name = getattr(reading.inputs.extraction.models, "given_tokenizer", None)
        told = str(name or reading.inputs.extraction.models.given_model or "")
        path = selection_plots.plot_lengths(
            signals[ROW_TOKENS], kept, folder / "lengths.png", tokenizer=told, seed=seed
        )
        drawn.append(("Row lengths before and after", path))
    if EMBEDDING in read:
        vectors = signals[EMBEDDING]
        lies = np.isfinite(vectors).all(axis=1)
        if lies.sum() >= _MIN_MAP_ROWS and vectors.shape[1] > 1:
            path = selection_plots.plot_embedding(vectors[lies], kept[lies], folder / "map.png")
            drawn.append(("Rows in the plane of their embeddings", path))
    return drawn


def embedded_picture(title: str, path: Path, folder: Path) -> Markdown:
    """A picture as markdown, with its caption and its data.

    Args:
        title: what it shows.
        path: the picture.
        folder: of the report.

    Returns:
        The paragraph.
    """
    source = quote(path.relative_to(folder).as_posix())
    data = quote(path.with_suffix(".json").relative_to(folder).as_posix())
    return Markdown(f"![{escape(title)}]({source})\n\n{escape(caption_of(path))} ([data]({data}))")


def _dropped(selection: Selection, folder: Path) -> list[tuple[str, Path]]:
    """What the gates dropped, where there were any."""
    counts = selection.provenance.get("gates", {}).get("counts")
    if not counts:
        return []
    return [("Rows that the gates dropped", plot_dropped(counts, selection.n_rows, folder / "gates.png"))]


def _languages(reading: Reading) -> list[str]:
    """The language of every row, where a column names more than one."""
    columns = reading.inputs.extraction.dataset.column_names
    if not (named := [name for name in LANGUAGE_COLUMNS if name in columns]):
        return []
    found = row_languages({named[0]: reading.dataset[named[0]][:]}, named[0], None, len(reading.dataset))
    return [language or "not named" for language in found] if len(set(found)) > 1 else []


def _scores(method: Method, signals: Signals, selection: Selection) -> dict[str, Any] | None:
    """The score of every row with what cuts it; ``None`` where rows have none outside the selection."""
    if isinstance(method, CDAS) and method.within == "complexity":
        ifd = method.complexity.ifd(signals)
        shown: dict[str, Any] = {"scores": ifd, "name": "IFD", "unit": "perplexity ratio", "threshold": method.max_ifd}
    elif isinstance(method, Scorer):
        cut = float(selection.scores.min()) if len(selection) else None
        shown = {"scores": method.score(signals), "name": f"score of {method.name}", "threshold": cut}
    else:
        return None
    return shown if np.isfinite(shown["scores"]).any() else None
