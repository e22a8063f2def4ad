"""Tests over few seeds: worked values, and what they cannot say."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.report.significance import PERMUTATION, TOO_FEW, WELCH, difference, holm, sign_flip_p


def by_seed(values):
    return dict(enumerate(values))


def test_signs_are_flipped_in_every_way():
    # all six differences above 0: only the signs as they are and all flipped reach the sum, 2 of 64
    assert sign_flip_p([0.1, 0.2, 0.1, 0.3, 0.1, 0.2]) == 2 / 64
    # |+1 -2 +4| = 3 is reached by 3 = 1-2+4 (twice, with all flipped), 5 = -1+2+4, 7, and 3 = ... : counted by hand
    assert sign_flip_p([1.0, -2.0, 4.0]) == 6 / 8
    assert sign_flip_p([0.0, 0.0]) == 1.0


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=7))
def test_p_is_the_brute_force_share(hundredths):
    values = [number / 100 for number in hundredths]
    reached = [
        abs(sum(sign * number for sign, number in zip(signs, hundredths, strict=True))) >= abs(sum(hundredths))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    assert sign_flip_p(values) == pytest.approx(np.mean(reached))
    assert sign_flip_p(values) >= 2 / 2 ** len(values)


def test_many_seeds_are_drawn_and_never_give_zero():
    p = sign_flip_p(np.full(20, 0.1))
    assert 0 < p < 1e-3
    assert sign_flip_p(np.array([0.1, -0.1] * 10)) > 0.9


@pytest.mark.parametrize(("n", "test"), [(1, TOO_FEW), (2, TOO_FEW), (3, WELCH), (5, WELCH), (6, PERMUTATION)])
def test_the_number_of_seeds_decides_the_test(n, test):
    found = difference(by_seed(np.linspace(0.6, 0.61, n)), by_seed(np.linspace(0.5, 0.52, n)))
    assert (found.test, found.n_seeds) == (test, n)
    assert found.mean == pytest.approx(0.1 if n == 1 else 0.095)
    assert (found.p_value is None) == (test == TOO_FEW)


def test_welch_is_scipy_s():
    from scipy.stats import ttest_ind

    first, second = [0.61, 0.64, 0.60], [0.55, 0.59, 0.50]
    found = difference(by_seed(first), by_seed(second))
    assert found.p_value == pytest.approx(ttest_ind(first, second, equal_var=False).pvalue)


def test_values_without_spread_are_told_apart_or_not():
    assert difference(by_seed([0.5] * 3), by_seed([0.5] * 3)).p_value == 1.0
    assert difference(by_seed([0.6] * 3), by_seed([0.5] * 3)).p_value == 0.0


def test_only_seeds_that_both_have_are_compared():
    found = difference({0: 0.5, 1: 0.7, 2: 0.9}, {1: 0.6, 2: 0.6, 3: 0.1})
    assert (found.n_seeds, found.mean) == (2, pytest.approx(0.2))
    assert difference({0: 0.5}, {1: 0.5}) is None


def test_holm_by_hand():
    # sorted .01 .02 .04: .01*3 = .03, .02*2 = .04, .04*1 = .04 (never below the one before)
    assert holm({"a": 0.04, "b": 0.01, "c": 0.02, "d": None}) == {
        "a": pytest.approx(0.04), "b": pytest.approx(0.03), "c": pytest.approx(0.04), "d": None,
    }  # fmt: skip
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1, allow_nan=False), max_size=8))
def test_adjusting_never_lowers_and_keeps_the_order(values):
    adjusted = holm(values)
    assert all(adjusted[name] >= value for name, value in values.items())
    order = sorted(values, key=lambda name: (values[name], name))
    assert [adjusted[name] for name in order] == sorted(adjusted.values())
