"""Whether one arm is better than another: hand-worked intervals."""

import math

import pytest

from hf_select.report.comparison import compare, partners, resolvable_difference


def arm(rates, n=200, **fields):
    records = [{"pass_at_1": rate, "n_problems": n} for rate in rates]
    return {"name": "a", "seeds": list(range(len(rates))), "per_seed": records, **fields}


def test_one_seed_is_compared_by_the_interval_of_agresti_and_caffo():
    found = compare(arm([0.7], n=10), arm([0.3], n=10, name="b"))
    # (7 + 1) / 12 - (3 + 1) / 12 = 1/3; half = 1.96 * sqrt(2 * (2/3 * 1/3) / 12)
    half = 1.959963984540054 * math.sqrt(2 * (2 / 9) / 12)
    assert found.difference == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx((1 / 3 - half, 1 / 3 + half))
    assert found.outcome == "undecided"
    assert found.basis == "draw of 10 problems only, 1 seed"


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (0.9, 0.5, "better"),
        (0.5, 0.9, "worse"),
        (0.87, 0.88, "undecided"),
        (0.0, 0.0, "undecided"),
        (1.0, 1.0, "undecided"),
    ],
)
def test_outcomes(first, second, outcome):
    assert compare(arm([first]), arm([second])).outcome == outcome


def test_three_seeds_are_compared_seed_by_seed():
    found = compare(arm([0.60, 0.65, 0.70]), arm([0.50, 0.56, 0.59]))
    # differences .10 .09 .11: mean .10, sd .01, t(2, .975) = 4.302653
    assert found.difference == pytest.approx(0.10)
    assert found.high - found.low == pytest.approx(2 * 4.302653 * 0.01 / math.sqrt(3), rel=1e-5)
    assert (found.outcome, found.basis) == ("better", "over 3 seeds")


def test_two_seeds_pool_their_problems():
    found = compare(arm([0.6, 0.8]), arm([0.6, 0.6]))
    assert found.difference == pytest.approx(0.1)
    pooled = compare(arm([0.7], n=400), arm([0.6], n=400))
    assert (found.low, found.high) == pytest.approx((pooled.low, pooled.high))
    assert found.basis == "draw of 400 problems only, 2 seeds"


def test_different_seeds_are_not_paired():
    found = compare(arm([0.6, 0.6, 0.6]), arm([0.5, 0.5, 0.5], seeds=[5, 6, 7]))
    assert found.basis.startswith("draw of 600 problems only")


def test_without_a_pass_rate_or_problems_nothing_is_said():
    assert compare(arm([None]), arm([0.5])) is None
    assert compare({"pass_at_1": 0.5}, arm([0.5])) is None


def test_arms_are_paired_with_random_of_the_same_budget_and_gates(results):
    arms = [*results["arms"], {**results["arms"][3], "name": "cdas:10%", "budget": "10%"}]
    assert [(one["name"], other["name"]) for one, other in partners(arms)] == [("gates+cdas:40%", "gates+random:40%")]


def test_resolvable_difference():
    assert resolvable_difference(0.5, 200) == pytest.approx(1.959964 * 0.05, rel=1e-6)
