"""The table that holds signals: one array per signal, row ``i`` of each is row ``i`` of the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ColumnError, MissingSignalError, RowError
from hf_select.signals.keys import ROW_TEXT, Indices, Mask, Signal

if TYPE_CHECKING:
    from datasets import Dataset

T = TypeVar("T")


class Signals:
    """Signals of all rows of one dataset, with the rows that may be picked.

    Args:
        values: array of each signal, first dimension ``N`` = rows of the dataset.
        candidates: ``(N,)`` bool, rows that may be picked; ``None`` for all.
        labelled: ``(N,)`` bool, rows already in use: never picked, and k-center starts from them; ``None`` for none.
        reference: signals of the reference rows of each task, by its name; ``None`` for no reference set.
        n_rows: ``N``, where there is neither signal nor mask to read it from.

    Raises:
        RowError: if the arrays differ in their number of rows.
    """

    def __init__(
        self,
        values: Mapping[Signal[Any], Any],
        *,
        candidates: Mask | None = None,
        labelled: Mask | None = None,
        reference: Mapping[str, Signals] | None = None,
        n_rows: int | None = None,
    ) -> None:
        self._values = {signal: np.asarray(value) for signal, value in values.items()}
        lengths = {signal.name: len(value) for signal, value in self._values.items()}
        lengths |= {
            name: len(mask) for name, mask in (("candidates", candidates), ("labelled", labelled)) if mask is not None
        }
        if n_rows is not None:
            lengths["n_rows"] = n_rows
        if len(set(lengths.values())) != 1:
            raise RowError(
                f"All signals and masks must have one value per row of the dataset, but their lengths are {lengths}."
            )
        self.n_rows: int = next(iter(lengths.values()))
        self.candidates = candidates
        self.labelled = labelled
        self.reference: Mapping[str, Signals] = reference or {}

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        needs: Iterable[Signal[Any]],
        *,
        candidates: Mask | None = None,
        labelled: Mask | None = None,
        reference: Mapping[str, Signals] | None = None,
    ) -> Signals:
        """Read the signal columns of a dataset.

        Args:
            dataset: the dataset, with a column for every signal in ``needs``.
            needs: the signals to read.
            candidates: ``(N,)`` bool, rows that may be picked; ``None`` for all.
            labelled: ``(N,)`` bool, rows already in use; ``None`` for none.
            reference: signals of the reference rows of each task, by its name.

        Returns:
            The signals, row ``i`` = row ``i`` of the dataset.

        Raises:
            ColumnError: if a signal has no column.
            RowError: if a column is not of the signal's shape.
        """
        values: dict[Signal[Any], Any] = {}
        for signal in needs:
            if signal.column not in dataset.column_names:
                there = [name for name in dataset.column_names if name.startswith("signal_")] or "no signal column"
                raise ColumnError(
                    f"No column {signal.column!r}; the dataset has {there}. Run extract(dataset, needs, ...) first."
                )
            values[signal] = _checked(_column_array(dataset, signal.column), signal)
        return cls(values, candidates=candidates, labelled=labelled, reference=reference, n_rows=len(dataset))

    def __getitem__(self, signal: Signal[T]) -> T:
        """The array of one signal.

        Args:
            signal: the signal.

        Returns:
            ``(N,)`` or ``(N, D)``, as the signal says.

        Raises:
            MissingSignalError: if it is not here.
        """
        if signal not in self._values:
            there = ", ".join(sorted(known.name for known in self._values)) or "none"
            raise MissingSignalError(
                f"Signal {signal.name!r} is not here (there: {there}). A method reads only what its `needs` declare; "
                f"extract(dataset, method.needs, ...) reads those."
            )
        return cast(T, self._values[signal])

    def __contains__(self, signal: object) -> bool:
        """Whether the signal is here."""
        return signal in self._values

    def __iter__(self) -> Iterator[Signal[Any]]:
        """The signals that are here."""
        return iter(self._values)

    def only(self, needs: Iterable[Signal[Any]], reference_needs: Iterable[Signal[Any]] = ()) -> Signals:
        """The same rows with the declared signals alone (what a method is given)."""
        declared = {signal: self[signal] for signal in needs}
        aims = frozenset(reference_needs)
        reference = {task: signals.only(aims) for task, signals in self.reference.items()} if aims else None
        return Signals(
            declared, candidates=self.candidates, labelled=self.labelled, reference=reference, n_rows=self.n_rows
        )

    def with_values(self, values: Mapping[Signal[Any], Any]) -> Signals:
        """The same rows with more signals, or other values of some."""
        return Signals(
            {**self._values, **values},
            candidates=self.candidates,
            labelled=self.labelled,
            reference=self.reference,
            n_rows=self.n_rows,
        )

    def take(self, rows: Indices) -> Signals:
        """Chunk of the signals for row-wise work inside one method; ids in it are positions, not row ids."""
        return Signals(
            {signal: value[rows] for signal, value in self._values.items()},
            candidates=None if self.candidates is None else self.candidates[rows],
            labelled=None if self.labelled is None else self.labelled[rows],
            reference=self.reference,
            n_rows=len(rows),
        )


def _checked(values: NDArray[Any], signal: Signal[Any]) -> NDArray[Any]:
    """The column of a signal, if it is of the signal's shape and kind: a column is taken on somebody's word."""
    n_axes = len([axis for axis in signal.shape.strip("()").split(",") if axis])
    if values.ndim != n_axes or (values.dtype.kind in "OUS") != (signal == ROW_TEXT):
        raise RowError(
            f"Column {signal.column!r} must hold {signal.shape} {signal.unit}, but {values.dtype} of shape "
            f"{values.shape} is there. Remove the column, and it is read anew."
        )
    return values


def _column_array(dataset: Dataset, column: str) -> NDArray[Any]:
    """One column as an array, by way of Arrow: ``(N,)``, or one more axis for each level of lists of one length."""
    from pyarrow.compute import list_value_length

    chunks = dataset.select_columns([column]).with_format("arrow")[:][column].combine_chunks()
    shape = [len(chunks)]
    while hasattr(chunks, "flatten") and hasattr(chunks.type, "value_type"):
        lengths = set(list_value_length(chunks).to_pylist())
        if len(lengths) != 1 or None in lengths:
            raise RowError(f"Column {column!r} must hold lists of one length, but there are rows of lengths {lengths}.")
        shape.append(lengths.pop())
        chunks = chunks.flatten()
    return np.asarray(chunks.to_numpy(zero_copy_only=False)).reshape(shape)
