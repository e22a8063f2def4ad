"""The second verb: read what a method needs, and let it pick."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from fractions import Fraction
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hf_select import __version__
from hf_select.budget import Budget
from hf_select.errors import BudgetError, ConfigError, InvalidScoresError, RowError
from hf_select.extract import check_dataset, extract_with_source
from hf_select.methods import Method, make
from hf_select.selection import Selection
from hf_select.signals.keys import ROW_TOKENS, Indices, Mask, Signals
from hf_select.signals.models import Models
from hf_select.signals.source import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datasets import Dataset

logger = logging.getLogger("hf_select")

_INVALID = "no finite"  # how the reasons of methods begin that are a lack of numbers, not a rule of the method


def select(
    dataset: Dataset,
    method: Method | str,
    budget: str | float | Fraction | Budget,
    *,
    seed: int = 0,
    model: Any = None,
    tokenizer: Any = None,
    embedder: Any = None,
    revision: str | None = None,
    columns: Mapping[str, str] | None = None,
    candidates: Mask | Sequence[int] | None = None,
    labelled: Mask | Sequence[int] | None = None,
    on_invalid: Literal["exclude", "error"] = "exclude",
    **options: Any,
) -> Selection:
    """Pick rows of a dataset under a budget.

    Args:
        dataset: the dataset, one split. Signal columns that are there are used as ``extract`` says.
        method: a method, or the name of one with its defaults.
        budget: how much to keep: rows (``5000``), a fraction (``"40%"``, ``0.4``) of the candidates, or tokens
            (``"2M tokens"``).
        seed: the only source of randomness.
        model: see ``extract``.
        tokenizer: see ``extract``.
        embedder: see ``extract``.
        revision: see ``extract``.
        columns: see ``extract``.
        candidates: rows that may be picked: ``(N,)`` bool or row ids; all by default.
        labelled: rows that are in use already: ``(N,)`` bool or row ids; none by default.
        on_invalid: leave out rows without a finite score (``"exclude"``), or stop with ``InvalidScoresError``
            (``"error"``).
        **options: the other options of ``extract`` (``template``, ``max_length``, ``cache_dir``, ``progress`` ...).

    Returns:
        The picks with their provenance; row ids are positions in ``dataset``.

    Raises:
        BudgetError: if a token budget is given to a method whose picks are not in an order that can be cut.
        ConfigError: if ``on_invalid`` is neither of its values.

    Example:
        ``select(dataset, "cdas", "40%", model="deepseek-ai/deepseek-coder-1.3b-base").apply(dataset)``
    """
    method, budget = make(method) if isinstance(method, str) else method, Budget.parse(budget)
    if on_invalid not in ("exclude", "error"):
        raise ConfigError(f"on_invalid={on_invalid!r} must be 'exclude' or 'error'.")
    if budget.kind == "tokens" and not method.ordered:
        raise BudgetError(
            f"The picks of {method.name!r} for fewer rows are not a prefix of those for more, so they cannot be cut at "
            f"{budget}. Give rows or a fraction, or take a method with ordered = True."
        )
    check_dataset(dataset)
    masks = {
        name: _mask(rows, len(dataset), name) for name, rows in (("candidates", candidates), ("labelled", labelled))
    }
    needs = method.needs | ({ROW_TOKENS} if budget.kind == "tokens" else frozenset())

    started = time.perf_counter()
    models = Models(model, tokenizer, embedder, revision)
    extracted, source = extract_with_source(dataset, needs, models, columns, Options(**options))
    signals = Signals.from_dataset(extracted, needs, **masks)
    picking = time.perf_counter()
    n_candidates = len(dataset) if signals.candidates is None else int(signals.candidates.sum())
    excluded = _count_exclusions(method, signals, on_invalid)
    n_asked = budget.n_rows(n_candidates)
    n_wanted = max(1, len(method.eligible(signals))) if budget.kind == "tokens" else n_asked
    indices, scores = method.pick(signals, n_wanted, np.random.default_rng(seed))
    if budget.kind == "tokens" and len(indices):
        n_kept = budget.prefix(indices, signals[ROW_TOKENS])
        indices, scores = indices[:n_kept], scores[:n_kept]
    provenance = {
        "method": method.config(),
        "budget": str(budget),
        "seed": seed,
        "dataset_fingerprint": dataset._fingerprint,
        "n_candidates": n_candidates,
        "n_asked": n_asked,
        "excluded": excluded,
        "read_with": {} if source is None else source.provenance(),
        "signals_given": sorted(signal.name for signal in needs if signal.column in dataset.column_names),
        "versions": _versions(),
        "seconds": {"extract": round(picking - started, 3), "pick": round(time.perf_counter() - picking, 3)},
    }
    return Selection(np.asarray(indices, np.int64), np.asarray(scores, np.float64), len(dataset), provenance)


def _mask(rows: Mask | Sequence[int] | None, n_rows: int, name: str) -> Mask | None:
    """A bool mask over the dataset, from a mask or from row ids."""
    if rows is None:
        return None
    given = np.asarray(rows)
    if given.dtype == np.bool_:
        if given.shape != (n_rows,):
            raise RowError(f"{name} is a mask of shape {given.shape} and the dataset has {n_rows} rows.")
        return given.copy()
    if given.size == 0:
        return np.zeros(n_rows, dtype=bool)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise RowError(f"{name} must be an (N,) bool mask or a list of row ids; {given.dtype} {given.shape} came.")
    outside = given[(given < 0) | (given >= n_rows)]
    if len(outside):
        raise RowError(f"{name} holds row ids outside 0..{n_rows - 1}: {outside[:5].tolist()}.")
    mask = np.zeros(n_rows, dtype=bool)
    mask[given] = True
    return mask


def _count_exclusions(method: Method, signals: Signals, on_invalid: str) -> dict[str, int]:
    """Candidates that the method may not pick, by reason."""
    excluded: dict[str, int] = {}
    for reason, mask in method.exclusions(signals.only(method.needs)).items():
        rows: Indices = np.flatnonzero(mask if signals.candidates is None else mask & signals.candidates)
        if not len(rows):
            continue
        excluded[reason] = len(rows)
        if reason.startswith(_INVALID) and on_invalid == "error":
            raise InvalidScoresError(
                f"{len(rows)} rows: {reason} (first: {rows[:5].tolist()}). Repair or drop them, or give "
                f"on_invalid='exclude' to leave them out."
            )
        logger.warning(
            "%s: %d rows are not eligible: %s (first: %s).", method.name, len(rows), reason, rows[:5].tolist()
        )
    return excluded


def _versions() -> dict[str, str]:
    others = ("torch", "transformers", "datasets", "scikit-learn", "numpy")
    return {"hf-select": __version__, **{name: version(name) for name in others}}
