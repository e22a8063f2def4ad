"""Reading measures from results: seeds, gaps and what is no number."""

import pytest

from hf_select.report.result import Spread, interval_of, n_seeds, problems_of, spread_of, values_of


def test_one_seed_reads_the_arm_itself():
    arm = {"pass_at_1": 0.5, "per_seed": [], "seeds": [3]}
    assert values_of(arm, "pass_at_1") == (0.5,)
    assert spread_of(arm, "pass_at_1") == Spread(0.5, None, 1)
    assert n_seeds(arm) == 1


def test_several_seeds_read_the_records():
    arm = {"pass_at_1": 0.9, "per_seed": [{"pass_at_1": 0.2}, {"pass_at_1": 0.4}, {"pass_at_1": None}]}
    assert values_of(arm, "pass_at_1") == (0.2, 0.4)
    spread = spread_of(arm, "pass_at_1")
    assert spread.mean == pytest.approx(0.3)
    assert spread.sd == pytest.approx(0.1414213562)
    assert n_seeds(arm) == 3


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.5", True])
def test_what_is_no_number_was_not_measured(value):
    assert values_of({"pass_at_1": value}, "pass_at_1") == ()
    assert spread_of({"pass_at_1": value}, "pass_at_1") is None


def test_an_empty_arm_has_nothing():
    assert (values_of({}, "rows"), interval_of({}), problems_of({}), n_seeds({})) == ((), None, 0, 1)


@pytest.mark.parametrize("bounds", [None, [], [0.1], [0.1, None], [float("nan"), 1.0]])
def test_broken_intervals_are_none(bounds):
    assert interval_of({"pass_at_1_interval": bounds}) is None


def test_problems_are_those_of_all_seeds_together():
    records = [{"pass_at_1": 0.1, "n_problems": 200}, {"pass_at_1": 0.2, "n_problems": 100}, {"n_problems": 50}]
    assert problems_of({"per_seed": records, "n_problems": 7}) == 300
    assert problems_of({"n_problems": 164}) == 164
