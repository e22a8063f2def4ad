"""A dataset together with all that its signals are read with: what ``extract`` and ``select`` share."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.columns import check_dataset, with_columns
from hf_select.errors import ConfigError, RowError, unknown_name
from hf_select.rows import RowFormat
from hf_select.signals.keys import Indices, Mask, Signal, Task, Values
from hf_select.signals.models import Companions, Models
from hf_select.signals.passes import can_read_anew, check_rows, read_signals, require_means
from hf_select.signals.source import Options, Source

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("hf_select")


@dataclass(frozen=True)
class Extraction:
    """A dataset and what its signals are read with; rows are read and models are loaded once, when first needed.

    Attributes:
        dataset: the dataset, one split.
        models: model, tokenizer, embedder and companions.
        columns: as in ``extract``.
        options: the other options of ``extract``.
        labelled: rows in use already, as a mask or row ids.
        reference: rows to aim at, by task.
    """

    dataset: Dataset
    models: Models
    columns: Mapping[str, str] | None
    options: Options
    labelled: Mask | Sequence[int] | None = None
    reference: Dataset | Mapping[str, Dataset] | None = None

    def __post_init__(self) -> None:
        """Refuse what is not one finite, non-empty split.

        Raises:
            RowError: if the dataset or a reference set is something else.
        """
        for dataset in (self.dataset, *self.references.values()):
            check_dataset(dataset)

    @property
    def references(self) -> dict[str, Dataset]:
        """The reference set of each task; a single dataset is the task ``"reference"``."""
        if self.reference is None:
            return {}
        return dict(self.reference) if isinstance(self.reference, Mapping) else {"reference": self.reference}

    @cached_property
    def reference_parts(self) -> dict[str, Extraction]:
        """The reference set of each task, to be read as the dataset is."""
        return {
            task: replace(
                self,
                dataset=dataset,
                columns=self.columns if _has(dataset, self.columns) else None,
                labelled=None,
                reference=None,
            )
            for task, dataset in self.references.items()
        }

    @cached_property
    def source(self) -> Source:
        """Rows and models."""
        row_format = RowFormat.detect(self.dataset, self.columns)
        rows = row_format.read(self.dataset)
        mask = row_mask(self.labelled, len(rows), "labelled")
        labelled = [] if mask is None else [row for row, is_labelled in zip(rows, mask, strict=True) if is_labelled]
        reference = {task: part.source.rows for task, part in self.reference_parts.items()}
        return Source(rows, row_format, self.models, self.options, labelled, reference)

    def report_copies(self) -> None:
        """Tell, once, how many rows equal an earlier one."""
        if (n_copies := len(self.copies)) and "n_copies" not in self.source.notes:
            self.source.notes["n_copies"] = n_copies
            logger.warning(
                "%d of %d rows are copies of earlier ones (first: %s); equal scores go to the lower row id. The gate "
                "hf_select.gates.DuplicateGate drops them.", n_copies, len(self.source.rows), self.copies[:5].tolist(),
            )  # fmt: skip

    @cached_property
    def copies(self) -> Indices:
        """Row ids of the rows that equal an earlier one."""
        seen: set[Hashable] = set()
        copies = []
        for row_id, row in enumerate(self.source.rows):
            if row.content in seen:
                copies.append(row_id)
            seen.add(row.content)
        return np.asarray(copies, dtype=np.int64)

    @cached_property
    def _used_for_parts(self) -> dict[str, Any]:
        """What was used so far to read some of the rows."""
        return {}

    def missing(self, needs: Iterable[Signal[Any]]) -> list[Signal[Any]]:
        """The signals that have to be read, in the order of their names.

        The order of a set differs between processes, and all must run the same passes.

        Args:
            needs: the signals.

        Returns:
            Those without a column, and those that there is something to read anew with.
        """
        return [
            signal
            for signal in sorted(set(needs), key=lambda signal: signal.name)
            if signal.column not in self.dataset.column_names or can_read_anew(signal, self.models)
        ]

    def read(self, needs: Iterable[Signal[Any]], rows: Indices | None = None) -> Values:
        """Read signals, each pass once.

        Args:
            needs: the signals.
            rows: ``(m,)`` row ids to read; all by default.

        Returns:
            The arrays of those that had to be read, over ``rows``.

        Raises:
            ConfigError: if something else than a signal is asked for.
        """
        needs = list(needs)
        if strange := [need for need in needs if not isinstance(need, Signal)]:
            raise ConfigError(f"{strange[0]!r} is not a signal; give method.needs, or some of hf_select.signals.keys.")
        wanted = self.missing(needs)
        for signal in wanted:
            require_means(signal, self.models)
        if not wanted:
            return {}
        source = self.source if rows is None else self.source.only(rows)
        check_rows(wanted, source)
        values = read_signals(wanted, source)
        if rows is not None:
            self._used_for_parts.update(source.provenance())
        return values

    def extract(self, needs: Iterable[Signal[Any]]) -> Dataset:
        """The dataset with one column per signal.

        Args:
            needs: the signals.

        Returns:
            The dataset.
        """
        values = self.read(needs)
        return with_columns(self.dataset, values) if values else self.dataset

    def provenance(self) -> dict[str, Any]:
        """What was used so far, as plain data for a record; nothing is loaded for it."""
        used = self.source.provenance() if "source" in self.__dict__ else {}
        return {**self._used_for_parts, **used}


def as_task(task: Task | str | None) -> Task | None:
    """The kind of model by its name.

    Args:
        task: the kind, its name, or ``None``.

    Returns:
        The kind, or ``None``.

    Raises:
        ConfigError: if there is no such kind.
    """
    if task is None or isinstance(task, Task):
        return task
    if task not in {known.value for known in Task}:
        raise ConfigError(str(unknown_name("task", task, [known.value for known in Task])))
    return Task(task)


def as_companions(companions: Companions | Mapping[str, Any] | None) -> Companions:
    """Companions, given as such or as a mapping of their fields.

    Args:
        companions: what was given.

    Returns:
        The companions.

    Raises:
        ConfigError: if there is no such companion.
    """
    if isinstance(companions, Companions):
        return companions
    if companions is not None and not isinstance(companions, Mapping):
        raise ConfigError(f"companions={companions!r:.60} is not a mapping; give companions={{'draft_model': ...}}.")
    known = [field.name for field in fields(Companions)]
    for name in companions or {}:
        if name not in known:
            raise ConfigError(str(unknown_name("companion", name, known)))
    return Companions(**(companions or {}))


def row_mask(rows: Mask | Sequence[int] | None, n_rows: int, name: str) -> Mask | None:
    """A bool mask over the dataset, from a mask or from row ids.

    Args:
        rows: ``(N,)`` bool, row ids, or ``None``.
        n_rows: rows of the dataset.
        name: what they are, for the errors.

    Returns:
        ``(N,)`` bool, or ``None``.

    Raises:
        RowError: if they are neither, or lie outside the dataset.
    """
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


def _has(dataset: Dataset, columns: Mapping[str, str] | None) -> bool:
    return columns is not None and set(columns.values()) <= set(dataset.column_names)
