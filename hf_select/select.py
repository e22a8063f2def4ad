"""The second verb: read what a method needs, and let it pick."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hf_select import __version__
from hf_select.budget import Budget
from hf_select.crash_point import crash_point
from hf_select.errors import BudgetError, ConfigError, InvalidScoresError
from hf_select.extraction import Extraction, as_companions, as_task, row_mask
from hf_select.methods import Method, make_for
from hf_select.reading import read_for_method
from hf_select.selection import Selection
from hf_select.signals.keys import ROW_TOKENS, Indices, Mask, Task
from hf_select.signals.models import Companions, Models
from hf_select.signals.passes import require_means
from hf_select.signals.source import Options
from hf_select.signals.table import Signals

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
    task: Task | str | None = None,
    companions: Companions | Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    reference: Dataset | Mapping[str, Dataset] | None = None,
    candidates: Mask | Sequence[int] | None = None,
    labelled: Mask | Sequence[int] | None = None,
    on_invalid: Literal["exclude", "error"] = "exclude",
    **options: Any,
) -> Selection:
    """Pick rows of a dataset under a budget.

    Args:
        dataset: the dataset, one split. Signal columns that are there are used as ``extract`` says.
        method: a method, or the name of one with its defaults for the kind of model.
        budget: how much to keep: rows (``5000``), a fraction (``"40%"``, ``0.4``) of the candidates, or tokens
            (``"2M tokens"``).
        seed: the only source of randomness.
        model: see ``extract``.
        tokenizer: see ``extract``.
        embedder: see ``extract``.
        revision: see ``extract``.
        task: see ``extract``.
        companions: see ``extract``.
        columns: see ``extract``.
        reference: rows to aim at (validation rows), one dataset or one per task, for the methods that need them.
        candidates: rows that may be picked: ``(N,)`` bool or row ids; all by default. Signals are read for these and
            the labelled rows alone.
        labelled: rows that are in use already: ``(N,)`` bool or row ids; none by default.
        on_invalid: leave out rows without a finite score (``"exclude"``), or stop with ``InvalidScoresError``
            (``"error"``).
        **options: the other options of ``extract`` (``template``, ``max_length``, ``cache_dir``, ``progress`` ...).

    Returns:
        The picks with their provenance; row ids are positions in ``dataset``.

    Example:
        ``select(dataset, "cdas", "40%", model="deepseek-ai/deepseek-coder-1.3b-base").apply(dataset)``
    """
    models = Models(model, tokenizer, embedder, revision, as_task(task), as_companions(companions))
    method = make_for(method, models.task) if isinstance(method, str) else method
    extraction = Extraction(dataset, models, columns, Options.of({"seed": seed, **options}), labelled, reference)
    mask = row_mask(candidates, len(dataset), "candidates")
    return select_from(extraction, method, Budget.parse(budget), seed=seed, candidates=mask, on_invalid=on_invalid)


def select_from(
    extraction: Extraction,
    method: Method,
    budget: Budget,
    *,
    seed: int,
    candidates: Mask | None = None,
    on_invalid: Literal["exclude", "error"] = "exclude",
) -> Selection:
    """``select`` for a dataset whose models were put together before.

    Args:
        extraction: the dataset and what it is read with.
        method: the method.
        budget: how much to keep.
        seed: the only source of randomness.
        candidates: ``(N,)`` bool, rows that may be picked; all by default.
        on_invalid: see ``select``.

    Returns:
        The picks with their provenance.
    """
    check_asked(method, budget, extraction, on_invalid)
    started, dataset = time.perf_counter(), extraction.dataset
    asked = _Asked(method, budget, seed, candidates)
    budget.n_rows(asked.n_candidates(len(dataset)))  # refuses more rows than there are before anything is read
    tokens = frozenset({ROW_TOKENS}) if budget.kind == "tokens" else frozenset()
    signals, read_for = read_for_method(
        extraction, method, asked.n_wanted, seed=seed, candidates=candidates, besides=tokens
    )
    reading = time.perf_counter() - started
    excluded = _count_exclusions(method, signals, on_invalid)
    _check_left(method, signals, excluded)
    indices, scores = method.pick(signals, asked.n_wanted(signals), np.random.default_rng(seed))
    if budget.kind == "tokens" and len(indices):
        n_kept = budget.prefix(np.arange(len(indices)), signals[ROW_TOKENS][indices])
        indices, scores = indices[:n_kept], scores[:n_kept]
    crash_point("picks.made")
    provenance = {
        "method": method.config(),
        "budget": str(budget),
        "seed": seed,
        "dataset_fingerprint": dataset._fingerprint,
        "n_candidates": asked.n_candidates(len(dataset)),
        "n_asked": budget.n_rows(asked.n_candidates(len(dataset))),
        "n_labelled": 0 if signals.labelled is None else int(signals.labelled.sum()),
        "n_reference": {task: len(rows) for task, rows in extraction.references.items()},
        "excluded": excluded,
        "read_with": extraction.provenance(),
        "read_for": dict(read_for),
        "signals_given": sorted(signal.name for signal in method.needs if signal.name not in read_for),
        "versions": _versions(),
        "seconds": {"extract": round(reading, 3), "pick": round(time.perf_counter() - started - reading, 3)},
    }
    return Selection(np.asarray(indices, np.int64), np.asarray(scores, np.float64), len(dataset), provenance)


def check_asked(method: Method, budget: Budget, extraction: Extraction, on_invalid: str = "exclude") -> None:
    """Refuse what cannot be done, before any model is loaded.

    Args:
        method: the method.
        budget: how much to keep.
        extraction: the dataset and what it is read with.
        on_invalid: see ``select``.

    Raises:
        BudgetError: if a token budget is given to a method whose picks are not in an order that can be cut.
        ConfigError: if ``method`` is none, ``on_invalid`` is neither of its values, or the method needs a reference
            set and none came.
    """
    if not isinstance(method, Method):
        raise ConfigError(f"method={method!r:.80} is not a method; give its name, for example 'cdas', or make('cdas').")
    if on_invalid not in ("exclude", "error"):
        raise ConfigError(f"on_invalid={on_invalid!r} must be 'exclude' or 'error'.")
    if budget.kind == "tokens" and not method.ordered:
        raise BudgetError(
            f"The picks of {method.name!r} for fewer rows are not a prefix of those for more, so they cannot be cut at "
            f"{budget}. Give rows or a fraction, or take a method with ordered = True."
        )
    if method.needs_reference and not extraction.references:
        raise ConfigError(f"{method.name!r} aims at a reference set; give reference=, for example validation rows.")
    for signal in extraction.missing(method.needs):
        require_means(signal, extraction.models)


@dataclass(frozen=True)
class _Asked:
    """What was asked for."""

    method: Method
    budget: Budget
    seed: int
    candidates: Mask | None

    def n_candidates(self, n_rows: int) -> int:
        """Rows that the budget is a share of."""
        return n_rows if self.candidates is None else int(self.candidates.sum())

    def n_wanted(self, signals: Signals) -> int:
        """Rows that the method is to pick; all eligible ones where tokens are counted afterwards."""
        if self.budget.kind == "tokens":
            return max(1, len(self.method.eligible(signals)))
        return self.budget.n_rows(self.n_candidates(signals.n_rows))


def _count_exclusions(method: Method, signals: Signals, on_invalid: str) -> dict[str, int]:
    """Candidates that the method may not pick, by reason."""
    excluded: dict[str, int] = {}
    for reason, mask in method.exclusions(signals.only(method.needs, method.reference_needs)).items():
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


def _check_left(method: Method, signals: Signals, excluded: Mapping[str, int]) -> None:
    """Refuse a selection of nothing."""
    if len(method.eligible(signals)):
        return
    n_rows = signals.n_rows if signals.candidates is None else int(signals.candidates.sum())
    why = ", ".join(f"{reason}: {n}" for reason, n in excluded.items()) or "all are labelled already"
    raise InvalidScoresError(
        f"{method.name!r} may pick none of the {n_rows} rows ({why}). Check the model (NaN weights?), the signal "
        f"columns and labelled=, or take another method."
    )


def _versions() -> dict[str, str]:
    others = ("torch", "transformers", "datasets", "scikit-learn", "numpy")
    return {"hf-select": __version__, **{name: version(name) for name in others}}
