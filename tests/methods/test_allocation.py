from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.errors import BudgetError
from hf_select.methods.allocation import largest_remainder


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [
        ([3, 2, 5], 4, [1, 1, 2]),  # rounding down would give [1, 0, 2]
        ([2, 2, 1], 3, [1, 1, 1]),
        ([1, 1, 1], 2, [1, 1, 0]),  # equal remainders: the lower group
        ([0, 4, 0], 3, [0, 3, 0]),
        ([5, 7], 12, [5, 7]),
        ([5, 7], 0, [0, 0]),
    ],
)
def test_golden(sizes, total, expected):
    assert largest_remainder(sizes, total).tolist() == expected


def test_minimum_raises_only_those_below_it():
    assert largest_remainder([97, 2, 1], 10, minimum=1).tolist() == [8, 1, 1]
    assert largest_remainder([97, 2, 1], 10, minimum=2).tolist() == [7, 2, 1]
    assert largest_remainder([50, 50], 10, minimum=1).tolist() == [5, 5]


@pytest.mark.parametrize(("total", "minimum"), [(11, 0), (-1, 0), (2, 1)])
def test_what_cannot_be_shared_out_is_refused(total, minimum):
    with pytest.raises(BudgetError, match="cannot be shared out"):
        largest_remainder([3, 2, 5], total, minimum)


groups = st.lists(st.integers(0, 50), min_size=1, max_size=8)


@given(groups, st.data(), st.integers(0, 5))
def test_shares_are_exact_bounded_and_within_one_of_the_quota(sizes, data, minimum):
    least = np.minimum(sizes, minimum)
    total = data.draw(st.integers(int(least.sum()), sum(sizes)))
    shares = largest_remainder(sizes, total, minimum)
    assert shares.sum() == total
    assert (shares <= sizes).all()
    assert (shares >= least).all()
    if minimum == 0 and sum(sizes):
        quotas = [Fraction(size * total, sum(sizes)) for size in sizes]
        assert all(abs(int(share) - quota) < 1 for share, quota in zip(shares, quotas, strict=True))
