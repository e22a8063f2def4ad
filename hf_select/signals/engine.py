"""The forward engine: segments of all rows in, losses and pooled states of all rows out, whatever the memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from hf_select.errors import ModelError, RowError
from hf_select.signals.keys import Indices, Integers, Mask
from hf_select.signals.layout import Layout
from hf_select.signals.memory import Halving
from hf_select.signals.plan import MAX_TOKENS_PER_BATCH, Segment, make_plan
from hf_select.signals.reader import Reader, Way, reader
from hf_select.signals.shards import run_shards
from hf_select.signals.statistic import STATISTICS
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
        pools: which pooled states to read, of ``POOLS``.
        statistics: which other statistics of the targets to read, of ``STATISTICS``.
        n_ids: ids that the tokenizer knows; those beyond are never taken for the most likely token.
    """

    name: str
    segments: Sequence[Segment]
    nll: bool = True
    pools: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    n_ids: int | None = None

    @property
    def scores(self) -> tuple[str, ...]:
        """All that is read of the targets."""
        return (*(("nll",) if self.nll else ()), *self.statistics)


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

    Losses are ``-log softmax(logits)`` in float32, averaged over the target in float64, and the other statistics are
    read likewise. A batch that does not fit into memory is split in halves, the plan stays as it is.

    Args:
        model: a causal language model; its state is restored.
        request: what to read.
        way: how to read it; found out by default.
        max_tokens_per_batch: tokens of one forward pass.
        store: where finished shards lie; ``None`` for nowhere.
        progress: show a progress bar.

    Returns:
        ``"nll"``: ``(N,)`` float64, each statistic ``(N,)`` float64 or ``(N, D)`` float32, and each pool ``(N, D)``
        float32; NaN for rows that cannot be read.

    Raises:
        RowError: if states are asked for and no row has a token.
    """
    lengths = np.asarray([segment.n_tokens for segment in request.segments], dtype=np.int64)
    scored = np.asarray([len(segment.target) > 0 for segment in request.segments], dtype=bool)
    if not request.pools and not scored.any():
        return {name: STATISTICS[name].unread(len(lengths)) for name in request.scores}
    if request.pools and not lengths.any():
        raise RowError(f"{request.name} pass: none of the {len(lengths)} rows has a token to read a state at.")
    check = FirstCheck(model, request.name, scored)

    def read(ready: Reader, rows: Indices) -> Arrays:
        arrays = ready.read(
            [request.segments[row] for row in rows],
            nll=request.nll,
            statistics=request.statistics,
            pools=request.pools,
            n_ids=request.n_ids,
        )
        check(rows, {name: arrays[name] for name in request.scores})
        return arrays

    values = run_reader(
        model, request.name, lengths, read,
        way=way, max_tokens_per_batch=max_tokens_per_batch, store=store, progress=progress,
    )  # fmt: skip
    blank_non_finite(request.name, {name: values[name] for name in request.scores}, scored)
    return values


def run_reader(
    model: torch.nn.Module,
    name: str,
    lengths: Integers,
    read: Callable[[Reader, Indices], Arrays],
    *,
    way: Way | None = None,
    max_tokens_per_batch: int = MAX_TOKENS_PER_BATCH,
    store: Store | None = None,
    progress: bool = False,
) -> Arrays:
    """Have all rows read by a function that is given the model, ready to be read, and the rows of a batch.

    Args:
        model: a causal language model; its state is restored.
        name: name of the pass.
        lengths: ``(N,)`` tokens of each row; rows of length 0 are not read.
        read: values of one batch of row ids; first dimension = rows of the batch.
        way: how to read the model; found out by default.
        max_tokens_per_batch: tokens of one batch.
        store: where finished shards lie; ``None`` for nowhere.
        progress: show a progress bar.

    Returns:
        Arrays with one value per row; NaN for rows that are not read.
    """
    with reader(model, way or find_way(model)) as ready:
        plan = make_plan(lengths, max_tokens_per_batch, padded=ready.layout is Layout.PADDED)
        halving = Halving(partial(read, ready), lengths)
        return run_shards(name, plan, halving.read, len(lengths), store=store, progress=progress)


@dataclass
class FirstCheck:
    """Stops at a model that yields no number, in the first batch that has a row with something to score.

    Attributes:
        model: the model.
        name: name of the pass.
        scored: ``(N,)`` bool, rows that must have values.
    """

    model: torch.nn.Module
    name: str
    scored: Mask
    was_made: bool = field(default=False, init=False)

    def __call__(self, rows: Indices, values: Arrays) -> None:
        """Check the values of a batch.

        Args:
            rows: ``(n,)`` row ids.
            values: ``(n, ...)`` arrays, all of which must have finite values.

        Raises:
            ModelError: if one of them has none in this batch.
        """
        scored = self.scored[rows]
        if self.was_made or not scored.any():
            return
        self.was_made = True
        for what, array in values.items():
            if not np.isfinite(array[scored]).any():
                raise ModelError(
                    f"{self.name} pass: the model gives no finite {_words(what)} for any of the first {scored.sum()} "
                    f"rows (row ids {rows[scored][:5].tolist()} ...): its weights hold NaN or infinity, or overflow in "
                    f"{next(self.model.parameters()).dtype}. Check them, or load in float32 or bfloat16."
                )


def blank_non_finite(name: str, values: Arrays, scored: Mask) -> None:
    """Turn infinite values into NaN, in place, and tell how many rows have none although they have a target.

    Args:
        name: name of the pass.
        values: ``(N, ...)`` float arrays.
        scored: ``(N,)`` bool, rows that should have values.
    """
    without = np.zeros(len(scored), dtype=bool)
    for array in values.values():
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        array[~finite] = np.nan
        without |= scored & ~finite
    if bad := np.flatnonzero(without).tolist():
        what = " and ".join(_words(what) for what in values)
        logger.warning(
            "%s pass: %d rows have no finite %s (first: %s); they stay NaN and cannot be picked.",
            name, len(bad), what, bad[:5],
        )  # fmt: skip


def _words(score: str) -> str:
    return "loss" if score == "nll" else score.replace("_", " ")
