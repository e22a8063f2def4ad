"""The plan of batches: golden, and its laws over random lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.errors import ConfigError
from hf_select.signals.plan import make_plan


def batches(plan) -> list[list[int]]:
    return [batch.tolist() for shard in plan.shards for batch in shard]


def test_rows_of_similar_length_share_a_batch() -> None:
    plan = make_plan(np.array([9, 2, 5, 5, 3, 0]), 10)
    assert batches(plan) == [[0], [2, 3], [4, 1]]
    assert (plan.n_tokens, plan.n_batches) == (24, 3)


def test_padding_counts_as_the_longest_row() -> None:
    assert batches(make_plan(np.array([9, 2, 5, 5, 3]), 10, padded=True)) == [[0], [2, 3], [4, 1]]
    assert batches(make_plan(np.array([6, 2, 2]), 10)) == [[0, 1, 2]]
    assert batches(make_plan(np.array([6, 2, 2]), 10, padded=True)) == [[0], [1, 2]]


@given(st.lists(st.integers(0, 50), max_size=200), st.integers(1, 60), st.booleans())
def test_every_row_is_planned_once_and_batches_fit(lengths: list[int], max_tokens: int, padded: bool) -> None:
    plan = make_plan(np.asarray(lengths, dtype=np.int64), max_tokens, padded=padded)
    planned = batches(plan)
    assert sorted(row for batch in planned for row in batch) == [row for row, length in enumerate(lengths) if length]
    flat = [lengths[row] for batch in planned for row in batch]
    assert flat == sorted(flat, reverse=True)
    for batch in planned:
        cost = len(batch) * lengths[batch[0]] if padded else sum(lengths[row] for row in batch)
        assert len(batch) == 1 or cost <= max_tokens
    sizes = [len(shard) for shard in plan.shards]
    assert not sizes or (max(sizes) - min(sizes) <= 1 and max(sizes) <= 32 and len(sizes) >= min(16, len(planned)))


def test_a_batch_needs_room() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        make_plan(np.array([1]), 0)
