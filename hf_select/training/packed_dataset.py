"""Pack a whole tokenised dataset once, before training: few rows, nearly all of them full.

Each sample is copied as one block from Arrow's memory to its place; no token becomes a Python object.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset
from datasets.fingerprint import Hasher

from hf_select import __version__
from hf_select.errors import ColumnError, PackingError
from hf_select.tokens import IGNORED
from hf_select.training.packing import best_fit_decreasing
from hf_select.training.sample import check_prompt, checked_max_length

Blocks = list[npt.NDArray[Any]]


def pack_dataset(dataset: Dataset, max_length: int) -> Dataset:
    """Pack the samples of a tokenised dataset into rows of at most ``max_length`` tokens, by best-fit decreasing.

    Train on the result with ``DynamicPackCollator``, which keeps the samples of a row apart by their restarting
    ``position_ids``. Over-long samples are cut at the end, with a warning. Rows come out in the order in which best-fit
    opened them, longest samples first: shuffle in training, as the ``Trainer`` does. The result is held in memory (6
    bytes a token for int32 tokens, and those of the labels); for more than fits, pack shards.

    Args:
        dataset: columns ``input_ids`` and optionally ``labels``, lists of integers; other columns are dropped, because
            a row holds many samples.
        max_length: the longest row, in tokens.

    Returns:
        A dataset of rows with ``input_ids``; ``labels`` if there were any, -100 at the first token of every sample (the
        collator makes them of ``input_ids`` otherwise); and ``position_ids``, of the smallest integer type.

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
    columns = {name: _blocks(table[name], name) for name in names}
    lengths = _cut(columns, max_length)
    packing = best_fit_decreasing(lengths, max_length)
    samples = packing.samples.tolist()
    columns = {name: [blocks[i] for i in samples] for name, blocks in columns.items()}
    counting = np.arange(max_length, dtype=np.min_scalar_type(-max_length))
    ordered = lengths[packing.samples]
    columns["position_ids"] = [counting[:length] for length in ordered.tolist()]
    ends = np.concatenate([[0], np.cumsum(ordered)])
    bounds = pa.array(ends[packing.offsets])
    tokens = {name: _joined(blocks, int(ends[-1])) for name, blocks in columns.items()}
    if "labels" in tokens:
        tokens["labels"][ends[:-1]] = IGNORED
    packed = pa.table({name: pa.LargeListArray.from_arrays(bounds, pa.array(tokens[name])) for name in tokens})
    # Without one, datasets would pickle the whole table to find a fingerprint, which takes longer than packing.
    made_of = ("hf_select.pack_dataset", __version__, dataset._fingerprint, max_length)
    return Dataset(packed, fingerprint=Hasher.hash(made_of))


def _blocks(column: pa.ChunkedArray, name: str) -> Blocks:
    """The lists of one column, as views into Arrow's memory."""
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_integer(kind.value_type):
        raise PackingError(f"Column {name!r} must hold lists of integers, got {kind}: tokenise the dataset first.")
    blocks: Blocks = []
    for chunk in column.chunks:
        if chunk.null_count or chunk.values.null_count:
            raise PackingError(f"Column {name!r} has missing lists or missing tokens in them: tokenise again.")
        values = chunk.values.to_numpy(zero_copy_only=False)
        if name == "labels" and not np.issubdtype(values.dtype, np.signedinteger):
            values = values.astype(np.int64)  # -100 must be among them
        blocks += [values[start:end] for start, end in pairwise(chunk.offsets.to_pylist())]
    return blocks


def _cut(columns: dict[str, Blocks], max_length: int) -> npt.NDArray[np.int64]:
    """Check the samples and cut over-long ones at the end, in place in ``columns``; the lengths that remain."""
    lengths = _lengths(columns["input_ids"])
    labels = columns.get("labels", columns["input_ids"])
    for row in np.flatnonzero(_lengths(labels) != lengths).tolist():
        raise PackingError(f"Row {row} has {lengths[row]} input_ids and {len(labels[row])} labels: tokenise again.")
    for row in np.flatnonzero(lengths >= max_length).tolist():
        check_prompt(labels[row], max_length, f"Row {row}")
    long = np.flatnonzero(lengths > max_length).tolist()
    if long:
        warnings.warn(
            f"{len(long)} of {len(lengths)} samples were longer than max_length={max_length} and lost "
            f"{lengths[long].sum() - len(long) * max_length} tokens at their end.",
            stacklevel=3,
        )
    for blocks in columns.values():
        for row in long:
            blocks[row] = blocks[row][:max_length]
    return np.minimum(lengths, max_length)


def _lengths(blocks: Blocks) -> npt.NDArray[np.int64]:
    """Tokens per block."""
    return np.fromiter(map(len, blocks), dtype=np.int64, count=len(blocks))


def _joined(blocks: Blocks, n_tokens: int) -> npt.NDArray[Any]:
    """Blocks one after another, in memory of Arrow's pool, which it takes over without a copy."""
    dtype = blocks[0].dtype if blocks else np.dtype(np.int64)
    joined = np.frombuffer(pa.allocate_buffer(n_tokens * dtype.itemsize), dtype=dtype)
    return np.concatenate(blocks, out=joined) if blocks else joined
