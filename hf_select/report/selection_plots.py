"""Plots of one selection: which rows were kept, by score, stratum, length and place in the embedding.

Every function draws one picture and returns its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.errors import ConfigError
from hf_select.report.figure import ACCENT, DROPPED, KEPT, label, legend, new_figure, save
from hf_select.signals.keys import Floats, Integers, Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

_N_BINS = 40
_MAX_STRATA = 60


def plot_scores(
    scores: Floats,
    kept: Mask,
    path: Path,
    *,
    name: str = "score",
    unit: str = "",
    threshold: float | None = None,
    seed: int | None = None,
) -> Path:
    """Draw the histogram of a score, kept rows on top of dropped ones.

    Args:
        scores: ``(N,)`` score of each row; rows without a finite score are counted in the caption.
        kept: ``(N,)`` bool.
        path: where to, ``.png``.
        name: what the score is.
        unit: its unit.
        threshold: where a method cuts; drawn as a line.
        seed: of the selection, for the caption.

    Returns:
        The path.

    Raises:
        ConfigError: if the arrays differ in length or no score is finite.
    """
    _same_length(scores=scores, kept=kept)
    finite = np.isfinite(scores)
    if not finite.any():
        raise ConfigError(f"No finite {name} among {len(scores)} rows, so there is nothing to draw.")
    edges = np.histogram_bin_edges(scores[finite], bins=_N_BINS)
    figure, (axes,) = new_figure(f"{name}: kept and dropped rows")
    counts = _stacked_histogram(axes, edges, scores[finite & kept], scores[finite & ~kept])
    if threshold is not None:
        axes.axvline(threshold, color=ACCENT, linestyle="--", linewidth=1.2, label=f"threshold {threshold:.4g}")
    legend(axes)
    label(axes, x=f"{name} ({unit})" if unit else name, y="rows")
    caption = (
        f"n = {len(scores):,} rows, {int(kept.sum()):,} kept; {int((~finite).sum()):,} without a finite score."
        f"{_seed(seed)}"
    )
    data = {"name": name, "unit": unit, "threshold": threshold, "edges": edges.tolist(), **counts}
    return save(figure, path, caption=caption, data=data)


def plot_strata(
    strata: Sequence[object] | NDArray[Any], kept: Mask, path: Path, *, name: str = "stratum", seed: int | None = None
) -> Path:
    """Draw how many rows of each stratum (cluster, source, origin) were kept and dropped.

    Args:
        strata: ``(N,)`` stratum of each row.
        kept: ``(N,)`` bool.
        path: where to, ``.png``.
        name: what a stratum is.
        seed: of the selection, for the caption.

    Returns:
        The path.

    Raises:
        ConfigError: if the arrays differ in length or are empty.
    """
    _same_length(strata=strata, kept=kept)
    labels, ids = np.unique(np.asarray([str(stratum) for stratum in strata]), return_inverse=True)
    sizes, taken = np.bincount(ids), np.bincount(ids[kept], minlength=len(labels))
    order = np.argsort(-sizes, kind="stable")
    shown = order[:_MAX_STRATA]
    figure, (axes,) = new_figure(f"Kept and dropped rows by {name}")
    places = range(len(shown))
    axes.bar(places, taken[shown], width=0.75, color=KEPT, label="kept")
    axes.bar(places, (sizes - taken)[shown], bottom=taken[shown], width=0.75, color=DROPPED, label="dropped")
    axes.set_xticks(places, [str(labels[i])[:16].replace("$", r"\$") for i in shown], fontsize=8)
    if len(shown) > 8:
        axes.tick_params(axis="x", rotation=90)
    axes.grid(False, axis="x")
    legend(axes)
    label(axes, x=f"{name}, largest first", y="rows")
    caption = f"n = {len(kept):,} rows in {len(labels)} strata, {int(kept.sum()):,} rows kept.{_seed(seed)}"
    if len(labels) > _MAX_STRATA:
        caption += f" The {len(labels) - _MAX_STRATA} smallest strata are not drawn; they stand in the data."
    data = {str(labels[i]): {"kept": int(taken[i]), "dropped": int(sizes[i] - taken[i])} for i in order}
    return save(figure, path, caption=caption, data={"strata": data})


def plot_lengths(row_tokens: Integers, kept: Mask, path: Path, *, tokenizer: str = "", seed: int | None = None) -> Path:
    """Draw the lengths of all rows and of those that were kept.

    Args:
        row_tokens: ``(N,)`` tokens of each row.
        kept: ``(N,)`` bool.
        path: where to, ``.png``.
        tokenizer: whose tokens these are, for the caption.
        seed: of the selection, for the caption.

    Returns:
        The path.

    Raises:
        ConfigError: if the arrays differ in length or are empty.
    """
    _same_length(row_tokens=row_tokens, kept=kept)
    lengths = np.asarray(row_tokens, dtype=np.float64)
    width = max(1.0, np.ceil((np.ptp(lengths) + 1) / _N_BINS))  # whole tokens: a bin of 2.5 holds 2 lengths or 3
    edges = np.arange(lengths.min(), lengths.max() + 1 + width, width) - 0.5
    figure, (axes,) = new_figure("Row lengths before and after selection")
    before, after = np.histogram(lengths, edges)[0], np.histogram(lengths[kept], edges)[0]
    axes.stairs(before / max(before.sum(), 1) * 100, edges, fill=True, color=DROPPED, label="all rows")
    axes.stairs(after / max(after.sum(), 1) * 100, edges, color=KEPT, linewidth=2, label="kept rows")
    legend(axes)
    label(axes, x="tokens per row", y="share of rows (%)")
    mean_after = f"{lengths[kept].mean():.1f}" if kept.any() else "none"
    caption = (
        f"n = {len(lengths):,} rows (mean {lengths.mean():.1f} tokens), {int(kept.sum()):,} kept (mean {mean_after}); "
        f"each histogram adds up to 100 %." + (f" Tokenizer: {tokenizer}." if tokenizer else "") + _seed(seed)
    )
    data = {"edges": edges.tolist(), "all_rows": before.tolist(), "kept_rows": after.tolist(), "tokenizer": tokenizer}
    return save(figure, path, caption=caption, data=data)


def plot_embedding(vectors: Floats, kept: Mask, path: Path, *, seed: int = 0, max_points: int = 20_000) -> Path:
    """Draw the rows in the first two principal components of their vectors, kept rows on top.

    Args:
        vectors: ``(N, D)`` one vector per row, ``D`` at least 2.
        kept: ``(N,)`` bool.
        path: where to, ``.png``.
        seed: seeds the decomposition and the draw of points.
        max_points: most points to draw; a random sample where there are more rows.

    Returns:
        The path.

    Raises:
        ConfigError: if the arrays differ in length, or there are fewer than 3 rows or 2 dimensions.
    """
    _same_length(vectors=vectors, kept=kept)
    if vectors.ndim != 2 or len(vectors) < 3 or vectors.shape[1] < 2:
        raise ConfigError(f"A map needs at least 3 rows of 2 dimensions, but the vectors have shape {vectors.shape}.")
    from sklearn.decomposition import PCA

    reducer = PCA(2, random_state=seed)
    places = reducer.fit_transform(np.asarray(vectors, dtype=np.float64))
    rows = np.arange(len(places))
    if len(rows) > max_points:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_points, replace=False))
    figure, (axes,) = new_figure("Rows in the plane of their embeddings", height=5.2)
    size = 4 + 200 / np.sqrt(len(rows))
    for mask, colour, name in ((~kept, DROPPED, "dropped"), (kept, KEPT, "kept")):
        drawn = rows[mask[rows]]
        axes.scatter(
            places[drawn, 0],
            places[drawn, 1],
            s=size,
            color=colour,
            alpha=0.7,
            linewidths=0,
            label=f"{name} ({mask.sum():,})",
        )
    legend(axes, marker_scale=2)
    shares = 100 * reducer.explained_variance_ratio_
    label(axes, x=f"first component ({shares[0]:.0f} % of variance)", y=f"second component ({shares[1]:.0f} %)")
    caption = (
        f"PCA of {vectors.shape[1]}-dimensional vectors, n = {len(kept):,} rows, {len(rows):,} drawn, seed {seed}; "
        f"kept rows lie on top. Distances in the plane are not those in the space."
    )
    data: Mapping[str, Any] = {
        "row_ids": rows.tolist(),
        "kept": kept[rows].tolist(),
        "places": places[rows].round(5).tolist(),
        "explained_variance_percent": shares.tolist(),
    }
    return save(figure, path, caption=caption, data=data)


def _seed(seed: int | None) -> str:
    return "" if seed is None else f" Seed {seed}."


def _stacked_histogram(axes: Any, edges: Floats, kept: Floats, dropped: Floats) -> dict[str, list[int]]:
    of_kept, of_dropped = np.histogram(kept, edges)[0], np.histogram(dropped, edges)[0]
    axes.stairs(of_kept + of_dropped, edges, baseline=of_kept, fill=True, color=DROPPED, label="dropped")
    axes.stairs(of_kept, edges, fill=True, color=KEPT, label="kept")
    return {"kept": of_kept.tolist(), "dropped": of_dropped.tolist()}


def _same_length(**arrays: Any) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ConfigError(f"A plot needs one value per row and at least one row, but the lengths are {lengths}.")
