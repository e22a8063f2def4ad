"""Packers: golden rows, then their promises against brute force."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_select.errors import PackingError, UnknownNameError
from hf_select.training import best_fit_decreasing, pack, padded_size

CAP = 10
batches = st.lists(st.integers(1, 40), min_size=1, max_size=24)


def row_lengths(rows: list[list[int]], lengths: list[int]) -> list[list[int]]:
    return [[lengths[i] for i in row] for row in rows]


# (lengths, rows of next_fit, padded tokens of next_fit, padded tokens of multifit), rows of at most 10
GOLDEN = [
    ([5, 3, 9, 2, 4], [[2, 3, 4], [5], [9]], 27, 27),
    ([1, 1, 9, 9], [[1, 1], [9], [9]], 27, 20),
    ([4, 6, 4, 6], [[4, 4], [6], [6]], 24, 20),
    ([10, 10], [[10], [10]], 20, 20),
    ([7, 7, 7], [[7], [7], [7]], 21, 21),
    ([5], [[5]], 5, 5),
]


@pytest.mark.parametrize(("lengths", "expected", "n_next_fit", "n_multifit"), GOLDEN)
def test_golden_packs(lengths: list[int], expected: list[list[int]], n_next_fit: int, n_multifit: int) -> None:
    rows = pack(lengths, CAP, "next_fit")
    assert row_lengths(rows, lengths) == expected
    assert padded_size(rows, lengths) == n_next_fit
    assert padded_size(pack(lengths, CAP), lengths) == n_multifit


def test_next_fit_is_stable() -> None:
    assert pack([5, 5, 5, 5], CAP, "next_fit") == [[0, 1], [2, 3]]


def test_an_exactly_full_row_is_allowed() -> None:
    assert sorted(map(sorted, pack([6, 4, 10], CAP))) == [[0, 1], [2]]


def test_more_rows_when_they_pad_less() -> None:
    # Two rows of 20 would hold three samples of 10, and pad 10 tokens; three rows of 10 pad none.
    assert padded_size(pack([10, 10, 10], 25), [10, 10, 10]) == 30


def test_no_samples_no_rows() -> None:
    assert pack([], CAP) == []
    assert padded_size([], []) == 0
    assert best_fit_decreasing([], CAP).rows() == []


@pytest.mark.parametrize("packer", [pack, best_fit_decreasing])
@pytest.mark.parametrize(("lengths", "message"), [([3, 0], "Sample 1 has 0 tokens"), ([11], "more than max_length=10")])
def test_what_cannot_be_packed_is_refused(packer: Any, lengths: list[int], message: str) -> None:
    with pytest.raises(PackingError, match=message):
        packer(lengths, CAP)


def test_unknown_algorithm() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'multifit'"):
        pack([1], CAP, "multi_fit")  # type: ignore[arg-type]


@given(lengths=batches, slack=st.integers(0, 60), algorithm=st.sampled_from(["multifit", "next_fit"]))
def test_every_sample_is_in_one_row_that_fits(lengths: list[int], slack: int, algorithm: Any) -> None:
    max_length = max(lengths) + slack
    rows = pack(lengths, max_length, algorithm)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(0 < sum(row) <= max_length for row in row_lengths(rows, lengths))


@given(lengths=batches, slack=st.integers(0, 60))
def test_multifit_never_pads_more_than_next_fit(lengths: list[int], slack: int) -> None:
    max_length = max(lengths) + slack
    assert padded_size(pack(lengths, max_length), lengths) <= padded_size(
        pack(lengths, max_length, "next_fit"), lengths
    )


def smallest_padded_size(lengths: list[int], max_length: int) -> int:
    """Every partition into rows, by brute force."""

    def partitions(rest: list[int], rows: list[int]) -> Any:
        if not rest:
            yield len(rows) * max(rows)
            return
        head, tail = rest[0], rest[1:]
        for i, used in enumerate(rows):
            if used + head <= max_length:
                yield from partitions(tail, [*rows[:i], used + head, *rows[i + 1 :]])
        yield from partitions(tail, [*rows, head])

    return min(partitions(lengths, []))


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6), slack=st.integers(0, 20))
def test_multifit_is_close_to_the_optimum(lengths: list[int], slack: int) -> None:
    max_length = max(lengths) + slack
    # 11/9: the classic bound of first-fit decreasing, far above what is seen.
    assert padded_size(pack(lengths, max_length), lengths) <= smallest_padded_size(lengths, max_length) * 11 / 9


def naive_best_fit_decreasing(lengths: list[int], max_length: int) -> list[int]:
    """One sample at a time into the row with the least sufficient room; room left per row, sorted."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms.remove(min(fitting))
        rooms.append((min(fitting) if fitting else max_length) - length)
    return sorted(rooms)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=80), slack=st.integers(0, 50))
def test_moving_runs_of_equal_lengths_is_best_fit_decreasing(lengths: list[int], slack: int) -> None:
    max_length = max(lengths) + slack
    packing = best_fit_decreasing(lengths, max_length)
    rows = packing.rows()
    assert sorted(packing.samples.tolist()) == list(range(len(lengths)))
    rooms = sorted(max_length - sum(row) for row in row_lengths(rows, lengths))
    assert rooms == naive_best_fit_decreasing(lengths, max_length)
    assert packing.offsets[0] == 0
    assert packing.offsets[-1] == len(lengths)


def test_a_large_dataset_is_packed_almost_without_loss() -> None:
    lengths = np.random.default_rng(0).lognormal(np.log(480) - 0.32, 0.8, 100_000).astype(int).clip(8, 4096)
    packing = best_fit_decreasing(lengths, 4096)
    used = np.add.reduceat(lengths[packing.samples], packing.offsets[:-1])
    assert used.max() <= 4096
    assert used.sum() == lengths.sum()
    assert len(used) / -(-lengths.sum() // 4096) <= 1.001


def test_more_rows_than_sixteen_bits_can_count() -> None:
    lengths = np.full(70_000, 3)
    packing = best_fit_decreasing(lengths, 5)
    assert len(packing.offsets) == 70_001
    assert packing.samples.tolist() == list(range(70_000))  # ties go to the sample that came first


def test_rows_of_one_cost_are_even() -> None:
    # The row of 9 sets the width. Best-fit would fill 9 | 9 | 2; of 20 tokens, 6 and 5 are as even as can be.
    rows = pack([9, 3, 3, 3, 2], CAP)
    assert sorted(sum(row) for row in row_lengths(rows, [9, 3, 3, 3, 2])) == [5, 6, 9]
