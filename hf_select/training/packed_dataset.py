"""Pack a whole tokenised dataset once, before training: few rows, nearly all of them full.

Tokens are copied by Arrow in row order and never become Python or NumPy objects one by one.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_select.errors import ColumnError, PackingError
from hf_select.training.packing import Packing, best_fit_decreasing
from hf_select.training.sample import IGNORED_LABEL, check_prompt, checked_max_length


def pack_dataset(dataset: Dataset, max_length: int) -> Dataset:
    """Pack the samples of a tokenised dataset into rows of at most ``max_length`` tokens, by best-fit decreasing.

    Train on the result with ``DynamicPackCollator``, which keeps the samples of a row apart by their restarting
    ``position_ids``. Over-long samples are cut at the end, with a warning. Rows come out in the order in which best-fit
    opened them, longest samples first: shuffle in training, as the ``Trainer`` does. The result is held in memory
    (about 24 bytes per token for int64 columns); for more than fits, pack shards.

    Args:
        dataset: columns ``input_ids`` and optionally ``labels`` (default: ``input_ids``) of integer lists; other
            columns are dropped, because a row holds many samples.
        max_length: the longest row, in tokens.

    Returns:
        A dataset of rows with ``input_ids``, ``labels`` (-100 at the first token of every sample), ``position_ids``.

    Raises:
        ColumnError: there is no ``input_ids`` column.
        ConfigError: ``max_length`` is missing or below 2.
        PackingError: an empty sample, columns of unlike lengths, or a prompt that fills ``max_length`` alone.
    """
    checked_max_length(max_length)
    if "input_ids" not in dataset.column_names:
        raise ColumnError(f"No column 'input_ids' among {dataset.column_names}: tokenise the dataset first.")
    names = [name for name in ("input_ids", "labels") if name in dataset.column_names]
    table: pa.Table = dataset.select_columns(names).with_format("arrow")[:]
    columns = {name: _checked_column(table[name], name) for name in names}
    lengths = _lengths(columns["input_ids"])
    if "labels" in columns and not np.array_equal(_lengths(columns["labels"]), lengths):
        row = int(np.flatnonzero(_lengths(columns["labels"]) != lengths)[0])
        raise PackingError(f"Row {row} has {lengths[row]} input_ids and another number of labels: tokenise again.")
    n_dropped = _cut(columns, lengths, max_length)
    if n_dropped:
        n_truncated = int((lengths > max_length).sum())
        warnings.warn(
            f"{n_truncated} of {len(lengths)} samples were longer than max_length={max_length} and lost {n_dropped} "
            "tokens at their end.",
            stacklevel=2,
        )
        lengths = np.minimum(lengths, max_length)
    return Dataset(_packed_table(columns, lengths, best_fit_decreasing(lengths, max_length)))


def _checked_column(column: pa.ChunkedArray, name: str) -> pa.Array:
    """One list column as a single array with 64-bit offsets, so that no count of tokens is too large."""
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_integer(kind.value_type):
        raise PackingError(f"Column {name!r} must hold lists of integers, got {kind}: tokenise the dataset first.")
    merged = column.cast(pa.large_list(kind.value_type)).combine_chunks()
    return pa.concat_arrays(merged.chunks) if isinstance(merged, pa.ChunkedArray) else merged


def _lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    """Tokens per row; 0 for a missing list."""
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0), dtype=np.int64)


def _cut(columns: dict[str, pa.Array], lengths: npt.NDArray[np.int64], max_length: int) -> int:
    """Cut over-long samples at the end, in place in ``columns``; the number of tokens lost."""
    long = np.flatnonzero(lengths >= max_length)
    for row in long.tolist():
        check_prompt(_values(columns.get("labels", columns["input_ids"])[row].values), max_length, f"Row {row}")
    n_dropped = int((lengths[long] - max_length).sum())
    if n_dropped:
        for name, column in columns.items():
            columns[name] = pc.list_slice(column, 0, max_length)
    return n_dropped


def _values(array: pa.Array) -> npt.NDArray[np.int64]:
    """The numbers of an Arrow array."""
    return np.asarray(array, dtype=np.int64)


def _packed_table(columns: dict[str, pa.Array], lengths: npt.NDArray[np.int64], packing: Packing) -> pa.Table:
    """The rows of a packing as an Arrow table."""
    ordered = lengths[packing.samples]
    ends = np.cumsum(ordered)
    starts = ends - ordered
    row_bounds = np.concatenate([[0], ends])[packing.offsets]
    # Arrow copies each sample as one block; an index per token would cost more than packing itself.
    taken = {name: column.take(pa.array(packing.samples)).flatten() for name, column in columns.items()}
    labels = np.array(taken.get("labels", taken["input_ids"]))
    if not np.issubdtype(labels.dtype, np.signedinteger):
        labels = labels.astype(np.int64)
    labels[starts] = IGNORED_LABEL
    position_ids = np.arange(len(labels)) - np.repeat(starts, ordered)
    flat: dict[str, Any] = {"input_ids": taken["input_ids"], "labels": labels, "position_ids": position_ids}
    return pa.table(
        {name: pa.LargeListArray.from_arrays(pa.array(row_bounds), pa.array(values)) for name, values in flat.items()}
    )
