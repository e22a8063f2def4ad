"""Arms as they are written."""

import pytest

from hf_select.budget import Budget
from hf_select.errors import BudgetError, ConfigError, UnknownNameError
from hf_select.experiment.arm import Arm, check_budgets, parse_arms


@pytest.mark.parametrize("text", ["full", "random:40%", "gates+cdas:40%", "cdas:5000", "gates+full", "loss:1/3"])
def test_the_name_is_what_was_written(text):
    assert Arm.parse(text).name == text
    assert Arm.parse(Arm.parse(text).name) == Arm.parse(text)


def test_folders_differ_and_are_plain():
    folders = [Arm.parse(text).folder for text in ("full", "random:40%", "gates+random:40%", "random:40", "loss:1/3")]
    assert folders == ["full", "random-40pct", "gates-random-40pct", "random-40", "loss-1-3"]


def test_arms_without_budget_take_all_budgets_and_every_budget_gets_a_random_arm():
    arms = parse_arms("full,cdas", "20%,40%")
    assert [arm.name for arm in arms] == ["full", "random:20%", "cdas:20%", "random:40%", "cdas:40%"]


def test_a_gated_arm_is_compared_with_gated_random():
    assert [arm.name for arm in parse_arms("gates+loss:10%", "40%")] == ["gates+random:10%", "gates+loss:10%"]


def test_the_published_sweep_reads():
    text = "cdas:40%,random:40%,full,ifd:40%,k_means:40%,core_set:40%,graph_density:40%"
    assert [arm.name for arm in parse_arms(text, "40%")] == text.split(",")


def test_repeated_arms_run_once():
    assert [arm.name for arm in parse_arms("full,full,random:40%", "40%")] == ["full", "random:40%"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("cdsa:40%", UnknownNameError, "Did you mean 'cdas'"),
        ("full:40%", ConfigError, "takes no budget"),
        ("cdas:0", BudgetError, "budget=0"),
        ("cdas:140%", BudgetError, "140%"),
        (":40%", ConfigError, "names no method"),
        (" , ", ConfigError, "names no arm"),
    ],
)
def test_bad_arms_are_refused(text, error, message):
    with pytest.raises(error, match=message):
        parse_arms(text, "40%")


def test_budgets_are_held_against_the_pool():
    check_budgets([Arm.parse("cdas:40%"), Arm.parse("full")], 10)
    with pytest.raises(BudgetError, match="above the pool of 10 rows"):
        check_budgets([Arm.parse("random:11")], 10)
    with pytest.raises(BudgetError, match="pool is empty"):
        check_budgets([Arm.parse("full")], 0)
    with pytest.raises(ConfigError, match="no order to cut"):
        check_budgets([Arm("cdas", Budget.tokens(100))], 10)
