"""The forward engine: segments of all rows in, losses and pooled states of all rows out, whatever the memory."""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_select.errors import ModelError, RowError
from hf_select.signals.keys import Indices
from hf_select.signals.layout import Layout
from hf_select.signals.plan import MAX_TOKENS_PER_BATCH, Segment, make_plan
from hf_select.signals.reader import Reader, Way, reader
from hf_select.signals.shards import run_shards
from hf_select.signals.store import Arrays, Store
from hf_select.signals.way import find_way

logger = logging.getLogger("hf_select")


@dataclass(frozen=True)
class Request:
    """What one pass of a model is to read.

    Attributes:
        name: name of the pass.
        segments: ``N`` segments, one per row; an empty one is not read.
        nll: read the mean loss over each target.
        pools: which pooled states to read (``"row"``, ``"prompt"``, ``"response"``).
    """

    name: str
    segments: Sequence[Segment]
    nll: bool = True
    pools: tuple[str, ...] = ()


def run_model(
    model: torch.nn.Module,
    request: Request,
    *,
    way: Way | None = None,
    max_tokens_per_batch: int = MAX_TOKENS_PER_BATCH,
    store: Store | None = None,
    progress: bool = False,
) -> Arrays:
    """Read all segments with a model.

    Losses are ``-log softmax(logits)`` in float32, averaged over the target in float64. A batch that does not fit
    into memory is split in halves, the plan stays as it is.

    Args:
        model: a causal language model; its state is restored.
        request: what to read.
        way: how to read it; found out by default.
        max_tokens_per_batch: tokens of one forward pass.
        store: where finished shards lie; ``None`` for nowhere.
        progress: show a progress bar.

    Returns:
        ``"nll"``: ``(N,)`` float64, and each pool ``(N, D)`` float32; NaN for rows that cannot be read.

    Raises:
        RowError: if states are asked for and no row has a token.
    """
    lengths = np.asarray([segment.n_tokens for segment in request.segments], dtype=np.int64)
    if not request.pools and not any(len(segment.target) for segment in request.segments):
        return {"nll": np.full(len(lengths), np.nan)}
    if request.pools and not lengths.any():
        raise RowError(f"{request.name} pass: none of the {len(lengths)} rows has a token to read a state at.")
    with reader(model, way or find_way(model)) as ready:
        plan = make_plan(lengths, max_tokens_per_batch, padded=ready.layout is Layout.PADDED)
        batches = _Batches(ready, request)
        values = run_shards(request.name, plan, batches.read, len(lengths), store=store, progress=progress)
    if request.nll:
        _count_non_finite(request, values["nll"])
    return values


@dataclass
class _Batches:
    """Reads batches with back-off, and stops at a model that yields no number."""

    reader: Reader
    request: Request
    was_split: bool = field(default=False, init=False)
    was_checked: bool = field(default=False, init=False)

    def read(self, rows: Indices) -> Arrays:
        """Values of one planned batch."""
        arrays = self._read_or_split(rows)
        if not self.was_checked and "nll" in arrays:
            self._check_first(rows, arrays["nll"])
        return arrays

    def _read_or_split(self, rows: Indices) -> Arrays:
        segments = [self.request.segments[row] for row in rows]
        try:
            return self.reader.read(segments, nll=self.request.nll, pools=self.request.pools)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise ModelError(
                    f"Row {rows[0]} with {segments[0].n_tokens} tokens does not fit into memory even alone. Lower "
                    f"max_length, or use a smaller dtype."
                ) from error
        # outside of the handler, so that the traceback no longer holds the tensors of the failed batch
        if not self.was_split:
            self.was_split = True
            logger.warning(
                "A batch of %d rows does not fit into memory; such batches are read in halves. A lower "
                "max_tokens_per_batch avoids the lost attempts.",
                len(rows),
            )
        _free_memory()
        halves = [self._read_or_split(half) for half in np.array_split(rows, 2)]
        return {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}

    def _check_first(self, rows: Indices, losses: NDArray[Any]) -> None:
        scored = np.asarray([len(self.request.segments[row].target) > 0 for row in rows])
        if not scored.any():
            return
        self.was_checked = True
        if not np.isfinite(losses[scored]).any():
            raise ModelError(
                f"The model gives no finite loss for any of the first {scored.sum()} rows (row ids "
                f"{rows[scored][:5].tolist()} ...): its weights hold NaN or infinity, or overflow in "
                f"{next(self.reader.model.parameters()).dtype}. Check them, or load in float32 or bfloat16."
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on an accelerator or on the CPU.

    Args:
        error: what was raised.

    Returns:
        True for ``torch.OutOfMemoryError``, ``MemoryError`` and the CPU allocator's ``RuntimeError``.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return "can't allocate memory" in said or "not enough memory" in said or "out of memory" in said


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _count_non_finite(request: Request, losses: NDArray[Any]) -> None:
    """Turn infinite losses into NaN and tell how many rows have none although they have a target."""
    scored = np.asarray([len(segment.target) > 0 for segment in request.segments], dtype=bool)
    bad = np.flatnonzero(scored & ~np.isfinite(losses))
    losses[~np.isfinite(losses)] = np.nan
    if len(bad):
        logger.warning(
            "%s pass: %d rows have no finite loss (first: %s); they stay NaN and cannot be picked.",
            request.name, len(bad), bad[:5].tolist(),
        )  # fmt: skip
