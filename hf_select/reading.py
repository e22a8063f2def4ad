"""What a method is told: cheap signals for all rows that matter to it, costly ones for the rows it then asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import MissingSignalError
from hf_select.extraction import Extraction, row_mask
from hf_select.methods.base import Method, Want
from hf_select.signals.keys import Mask, Signal, Values
from hf_select.signals.table import Signals


class Reading(NamedTuple):
    """The signals that a method was told.

    Attributes:
        signals: everything it needs, NaN where a row was not read.
        read_for: for how many rows each signal was read, by its name; columns that were taken as they are, are absent.
    """

    signals: Signals
    read_for: Mapping[str, int]


def read_for_method(
    extraction: Extraction,
    method: Method,
    n_wanted: Callable[[Signals], int],
    *,
    seed: int,
    candidates: Mask | None = None,
    besides: frozenset[Signal[Any]] = frozenset(),
) -> Reading:
    """Read what a method needs: at first for candidates and labelled rows, then for the rows it ``wants``.

    Args:
        extraction: the dataset and what it is read with.
        method: the method.
        n_wanted: how many rows it will pick, given what was read so far.
        seed: of the generator that ``pick`` will be given.
        candidates: ``(N,)`` bool, rows that may be picked; ``None`` for all.
        besides: signals that are read at first although the method does not need them.

    Returns:
        The signals of all rows of the dataset.

    Raises:
        MissingSignalError: if the method wants a signal that is there already: it would never come to an end.
    """
    n_rows = len(extraction.dataset)
    labelled = row_mask(extraction.labelled, n_rows, "labelled")
    reference = _read_reference(extraction, method.reference_needs)
    signals = Signals({}, candidates=candidates, labelled=labelled, reference=reference, n_rows=n_rows)
    visible = np.ones(n_rows, dtype=bool) if candidates is None else candidates
    rows = np.flatnonzero(visible if labelled is None else visible | labelled)
    read_for: dict[str, int] = {}
    want: Want | None = Want(method.needs_at_first | besides, rows)
    while want is not None:
        if again := sorted(signal.name for signal in want.signals if signal in signals):
            raise MissingSignalError(
                f"{method.name!r} wants {again} a second time. A signal is read once; ask at once for all rows that it "
                f"is needed for."
            )
        missing = extraction.missing(want.signals)
        read_for |= {signal.name: len(want.rows) for signal in missing}
        taken = Signals.from_dataset(extraction.dataset, want.signals - set(missing))
        signals = signals.with_values({**{s: taken[s] for s in taken}, **_read_some(extraction, want)})
        want = method.wants(signals, n_wanted(_complete(signals, method)), np.random.default_rng(seed))
    if read_for:
        extraction.report_copies()
    unasked = {signal.name: 0 for signal in method.needs if signal not in signals}
    return Reading(_complete(signals, method), dict(sorted({**read_for, **unasked}.items())))


def _read_reference(extraction: Extraction, needs: frozenset[Signal[Any]]) -> dict[str, Signals]:
    """The signals of the reference rows, read as those of the dataset are."""
    parts = extraction.reference_parts if needs else {}
    return {task: Signals.from_dataset(part.extract(needs), needs) for task, part in parts.items()}


def _read_some(extraction: Extraction, want: Want) -> Values:
    """Arrays over all rows of the dataset for what has to be read, NaN for the rows that are not wanted."""
    n_rows = len(extraction.dataset)
    if len(want.rows) == n_rows:
        return extraction.read(want.signals)
    if len(want.rows) == 0:
        return {signal: np.full(n_rows, np.nan) for signal in extraction.missing(want.signals)}
    values = extraction.read(want.signals, want.rows)
    return {signal: _spread(array, want.rows, n_rows) for signal, array in values.items()}


def _spread(array: NDArray[Any], rows: NDArray[np.int64], n_rows: int) -> NDArray[Any]:
    whole = np.full((n_rows, *array.shape[1:]), np.nan, dtype=np.result_type(array.dtype, np.float32))
    whole[rows] = array
    return whole


def _complete(signals: Signals, method: Method) -> Signals:
    """The table with NaN for what the method needs and has not asked for."""
    unasked = [signal for signal in method.needs if signal not in signals]
    return signals.with_values({signal: np.full(signals.n_rows, np.nan) for signal in unasked})
