"""Overlaps: worked by hand, against brute force, and against chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.errors import RowError
from hf_select.overlap import overlap
from hf_select.selection import Selection


def kept(*rows, n_rows=10):
    return Selection(np.array(rows, dtype=np.int64), np.zeros(len(rows)), n_rows)


def test_by_hand():
    found = overlap({"a": kept(0, 1, 2, 3), "b": kept(3, 2, 9, 8), "c": kept(3)})
    assert found.names == ("a", "b", "c")
    assert found.shared.tolist() == [[4, 2, 1], [2, 4, 1], [1, 1, 1]]
    assert found.sizes.tolist() == [4, 4, 1]
    assert found.fraction.tolist() == [[1, 0.5, 1], [0.5, 1, 1], [1, 1, 1]]
    assert found.expected_fraction.tolist() == [[0.4, 0.4, 0.4], [0.4, 0.4, 0.4], [0.4, 0.4, 0.1]]
    np.testing.assert_allclose(found.jaccard, [[1, 2 / 6, 1 / 4], [2 / 6, 1, 1 / 4], [1 / 4, 1 / 4, 1]])
    np.testing.assert_allclose(found.expected_jaccard[0, 1], 1.6 / 6.4)
    pair = found.pairs()[0]
    assert (pair["first"], pair["second"], pair["n_shared"], pair["overlap"]) == ("a", "b", 2, 0.5)
    assert len(found.pairs()) == 3


def test_candidates_are_what_chance_draws_from():
    found = overlap({"a": kept(0, 1), "b": kept(1, 2)}, n_candidates=4)
    assert found.expected_fraction[0, 1] == 0.5


def test_an_empty_selection_shares_nothing_that_could_be_told():
    found = overlap({"a": kept(0, 1), "b": kept()})
    assert np.isnan(found.fraction[0, 1])
    assert found.jaccard[0, 1] == 0
    assert found.pairs()[0]["overlap"] is None
    assert found.pairs()[0]["chance_low"] is None


def test_chance_against_random_draws():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(2000):
        first, second = rng.permutation(50)[:10], rng.permutation(50)[:5]
        found = overlap({"a": kept(*first, n_rows=50), "b": kept(*second, n_rows=50)})
        shares.append(found.fraction[0, 1])
    low, high = found.chance_interval()
    assert np.mean(shares) == pytest.approx(found.expected_fraction[0, 1], abs=0.02)
    assert np.mean((shares >= low[0, 1]) & (shares <= high[0, 1])) >= 0.94
    narrow = found.chance_interval(0.1)
    assert narrow[1][0, 1] - narrow[0][0, 1] < high[0, 1] - low[0, 1]


@given(st.lists(st.sets(st.integers(0, 19)), min_size=1, max_size=4))
def test_against_sets(sets):
    selections = {str(number): kept(*rows, n_rows=20) for number, rows in enumerate(sets)}
    found = overlap(selections)
    for i, first in enumerate(sets):
        for j, second in enumerate(sets):
            assert found.shared[i, j] == len(first & second)
            if first and second:
                assert found.fraction[i, j] == len(first & second) / min(len(first), len(second))
                assert found.jaccard[i, j] == len(first & second) / len(first | second)


def test_selections_that_do_not_go_together():
    with pytest.raises(RowError, match=r"datasets of \[10, 20\] rows"):
        overlap({"a": kept(0), "b": kept(0, n_rows=20)})
    with pytest.raises(RowError, match="no rows"):
        overlap({})
    for n_candidates in (0, 1, 11):
        with pytest.raises(RowError, match=f"n_candidates={n_candidates} must lie between the largest selection"):
            overlap({"a": kept(0, 1)}, n_candidates=n_candidates)
