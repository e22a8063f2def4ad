"""Signals as columns of a dataset: ``signal_<name>``, with a fingerprint that depends on the values alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import RowError
from hf_select.signals.identity import array_hash, key_of, texts_hash
from hf_select.signals.keys import Values

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def with_columns(dataset: Dataset, values: Values) -> Dataset:
    """The dataset with one column per signal; the fingerprint depends on the values alone.

    Args:
        dataset: the dataset.
        values: ``(N,)`` or ``(N, D)`` array of each signal.

    Returns:
        The dataset with the columns added, or replaced.
    """
    import datasets

    there = [signal.column for signal in values if signal.column in dataset.column_names]
    dataset = dataset.remove_columns(there) if there else dataset
    for signal, array in values.items():
        content = texts_hash(array) if array.dtype == object else array_hash(array)
        fingerprint = key_of([dataset._fingerprint, signal.column, content])[:16]
        column = _arrow(array)
        dataset = dataset.add_column(
            signal.column,
            column,
            new_fingerprint=fingerprint,
            feature=datasets.Features.from_arrow_schema(_schema(column))["column"],
        )
    return dataset


def check_dataset(dataset: Any) -> None:
    """Refuse what is not one finite, non-empty split.

    Args:
        dataset: what came.

    Raises:
        RowError: if it is something else than a ``datasets.Dataset`` with rows.
    """
    import datasets

    if isinstance(dataset, datasets.DatasetDict | datasets.IterableDatasetDict):
        splits = ", ".join(repr(str(split)) for split in dataset)
        raise RowError(f"A dataset with splits came ({splits}); give one of them, for example dataset['train'].")
    if isinstance(dataset, datasets.IterableDataset):
        raise RowError(
            "A streamed dataset came; row ids and budgets need all rows. Load it without streaming, or make it a "
            "Dataset with Dataset.from_generator."
        )
    if not isinstance(dataset, datasets.Dataset):
        raise RowError(f"A datasets.Dataset was expected and {type(dataset).__name__} came; see Dataset.from_list.")
    if len(dataset) == 0:
        raise RowError("The dataset has no rows. Check the split, and the filters and gates before it.")


def _arrow(array: NDArray[Any]) -> pa.Array:
    """The array as a column: a list of one length for each axis after the first."""
    import pyarrow as pa

    column = pa.array(np.ascontiguousarray(array).reshape(-1))
    for width in reversed(array.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, width)
    return column


def _schema(column: pa.Array) -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"column": column.type})
