"""The vocabulary: every signal with its shape, its unit and the pass that reads it, and the table that holds them.

A signal of a dataset is one of its columns, ``signal_<name>``, so ``datasets`` caches, shards, streams and pushes it.
Row ``i`` of every signal is row ``i`` of the dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ColumnError, MissingSignalError, RowError

if TYPE_CHECKING:
    from datasets import Dataset

T = TypeVar("T")
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]
Mask: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]


class Pass(str, Enum):
    """One kind of run that yields signals; every pass runs once, however many methods need it."""

    TEXT = "text"
    EMBEDDING = "embedding"
    FORWARD = "forward"
    ANSWER_ALONE = "answer_alone"


@dataclass(frozen=True)
class Signal(Generic[T]):
    """A named column with a shape and a unit.

    Attributes:
        name: the name in the field's terms; the column is ``signal_<name>``.
        shape: ``"(N,)"`` or ``"(N, D)"``.
        unit: the unit of one value, for example ``"nats per response token"``.
        read_in: the pass that yields it.
        option: a parameter of the pass that changes the values (empty for most signals).
    """

    name: str
    shape: str
    unit: str
    read_in: Pass
    option: str = ""

    @property
    def column(self) -> str:
        """Name of the dataset column."""
        return f"signal_{self.name}"


TEXT_LENGTH: Signal[Integers] = Signal("text_length", "(N,)", "characters of prompt and response", Pass.TEXT)
ROW_TOKENS: Signal[Integers] = Signal("row_tokens", "(N,)", "tokens of prompt and response", Pass.TEXT)
EMBEDDING: Signal[Floats] = Signal("embedding", "(N, D)", "unit vector", Pass.EMBEDDING)
RESPONSE_NLL: Signal[Floats] = Signal("response_nll", "(N,)", "nats per response token", Pass.FORWARD)
RESPONSE_TOKENS: Signal[Integers] = Signal("response_tokens", "(N,)", "scored response tokens", Pass.FORWARD)
HIDDEN_STATE: Signal[Floats] = Signal("hidden_state", "(N, D)", "mean last hidden state over the row", Pass.FORWARD)


def answer_alone_nll(prefix: str = "") -> Signal[Floats]:
    """The signal of the response without its prompt.

    Args:
        prefix: text that stands before the response instead of the prompt: nothing (Superfiltering, CodeACT) or a
            separator such as ``"### Response:"`` (Cherry).

    Returns:
        The signal; another prefix is another signal with a column of its own.
    """
    if not prefix:
        return ANSWER_ALONE_NLL
    return Signal(f"answer_alone_nll_after_{prefix.encode().hex()}", "(N,)", "nats per response token",
                  Pass.ANSWER_ALONE, prefix)  # fmt: skip


ANSWER_ALONE_NLL: Signal[Floats] = Signal("answer_alone_nll", "(N,)", "nats per response token", Pass.ANSWER_ALONE)


class Signals:
    """Signals of all rows of one dataset, with the rows that may be picked.

    Args:
        values: array of each signal, first dimension ``N`` = rows of the dataset.
        candidates: ``(N,)`` bool, rows that may be picked; ``None`` for all.
        labelled: ``(N,)`` bool, rows already in use: never picked, and k-center starts from them; ``None`` for none.
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

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        needs: Iterable[Signal[Any]],
        *,
        candidates: Mask | None = None,
        labelled: Mask | None = None,
    ) -> Signals:
        """Read the signal columns of a dataset.

        Args:
            dataset: the dataset, with a column for every signal in ``needs``.
            needs: the signals to read.
            candidates: ``(N,)`` bool, rows that may be picked; ``None`` for all.
            labelled: ``(N,)`` bool, rows already in use; ``None`` for none.

        Returns:
            The signals, row ``i`` = row ``i`` of the dataset.

        Raises:
            ColumnError: if a signal has no column.
        """
        values: dict[Signal[Any], Any] = {}
        for signal in needs:
            if signal.column not in dataset.column_names:
                there = [name for name in dataset.column_names if name.startswith("signal_")] or "no signal column"
                raise ColumnError(
                    f"No column {signal.column!r}; the dataset has {there}. Run extract(dataset, needs, ...) first."
                )
            values[signal] = _column_array(dataset, signal.column)
        return cls(values, candidates=candidates, labelled=labelled, n_rows=len(dataset))

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

    def only(self, needs: Iterable[Signal[Any]]) -> Signals:
        """The same rows with the declared signals alone (what a method is given)."""
        declared = {signal: self[signal] for signal in needs}
        return Signals(declared, candidates=self.candidates, labelled=self.labelled, n_rows=self.n_rows)

    def take(self, rows: Indices) -> Signals:
        """Chunk of the signals for row-wise work inside one method; ids in it are positions, not row ids."""
        return Signals(
            {signal: value[rows] for signal, value in self._values.items()},
            candidates=None if self.candidates is None else self.candidates[rows],
            labelled=None if self.labelled is None else self.labelled[rows],
            n_rows=len(rows),
        )


def _column_array(dataset: Dataset, column: str) -> NDArray[Any]:
    """One column as an array, by way of Arrow: ``(N,)`` or, from lists of one length, ``(N, D)``."""
    from pyarrow.compute import list_value_length

    chunks = dataset.select_columns([column]).with_format("arrow")[:][column].combine_chunks()
    if not hasattr(chunks, "flatten") or not hasattr(chunks.type, "value_type"):
        return np.asarray(chunks.to_numpy(zero_copy_only=False))
    lengths = set(list_value_length(chunks).to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise RowError(f"Column {column!r} must hold lists of one length, but there are rows of lengths {lengths}.")
    return np.asarray(chunks.flatten().to_numpy(zero_copy_only=False)).reshape(len(chunks), -1)
