"""Which rows are read together: one plan for the whole dataset, the same for any number of processes.

lengths   9 2 5 5 3          max_tokens = 10
batches   [9] [5 5] [3 2]    longest first, so that a lack of memory shows in the first batch
shards    [[9] [5 5]] [[3 2]]    runs of batches: the unit that is stored, and dealt out to processes
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ConfigError
from hf_select.signals.keys import Indices, Integers

TokenIds = NDArray[np.int32]

MAX_TOKENS_PER_BATCH = 4096
"""Tokens of one forward pass, where nothing else is asked for."""

_MAX_BATCHES_PER_SHARD = 32  # what a killed run can lose
_MIN_SHARDS = 16  # enough to share out evenly when the dataset is small


class Segment(NamedTuple):
    """The tokens of one row in one pass.

    Attributes:
        context: tokens that are read and not scored.
        target: tokens whose loss is read; needs at least one token of context.
    """

    context: TokenIds
    target: TokenIds

    @property
    def n_tokens(self) -> int:
        """Tokens the model reads."""
        return len(self.context) + len(self.target)


@dataclass(frozen=True)
class Plan:
    """Batches of row ids, in shards.

    Attributes:
        shards: the batches of each shard; every planned row is in exactly one batch.
        n_tokens: tokens of all planned rows.
    """

    shards: tuple[tuple[Indices, ...], ...]
    n_tokens: int

    @property
    def n_batches(self) -> int:
        """Batches of all shards."""
        return sum(len(shard) for shard in self.shards)


def make_plan(lengths: Integers, max_tokens: int, *, padded: bool = False) -> Plan:
    """Group rows of similar length into batches of at most ``max_tokens`` tokens.

    Args:
        lengths: ``(N,)`` tokens of each row; rows of length 0 are left out.
        max_tokens: tokens of one batch; a longer row is a batch of its own.
        padded: count a batch as rows x longest row instead of the sum of its rows.

    Returns:
        The plan, a function of these arguments alone.

    Raises:
        ConfigError: if ``max_tokens`` is below 1.
    """
    if max_tokens < 1:
        raise ConfigError(f"max_tokens_per_batch={max_tokens} must be at least 1.")
    counts = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    batches: list[Indices] = []
    start = used = 0
    for position, length in enumerate(counts[order].tolist()):
        cost = length if not padded else int(counts[order[start]])
        if position > start and used + cost > max_tokens:
            batches.append(order[start:position])
            start, used = position, 0
            cost = length
        used += cost
    if start < len(order):
        batches.append(order[start:])
    return Plan(_in_shards(batches), int(counts.sum()))


def _in_shards(batches: list[Indices]) -> tuple[tuple[Indices, ...], ...]:
    """Runs of batches of nearly one size."""
    n_shards = max(math.ceil(len(batches) / _MAX_BATCHES_PER_SHARD), min(len(batches), _MIN_SHARDS))
    bounds = [len(batches) * shard // n_shards for shard in range(n_shards + 1)] if n_shards else [0]
    return tuple(tuple(batches[start:end]) for start, end in pairwise(bounds))
