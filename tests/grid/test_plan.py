"""Which cells there are, and which methods are left out with a reason."""

import pytest

from hf_select.errors import BudgetError, ConfigError, UnknownNameError
from hf_select.grid.arguments import PAPER_METHODS
from hf_select.grid.plan import budget_name, cell_folder, make_plan, parse_budgets
from hf_select.methods import METHODS
from tests.grid.conftest import parse


def names(plan):
    return [method.name for method in plan.methods]


def test_the_twenty_methods_of_the_paper_are_the_default_and_all_are_known():
    assert len(PAPER_METHODS) == len(set(PAPER_METHODS)) == 20
    assert set(PAPER_METHODS) <= set(METHODS)
    plan = make_plan(parse())
    assert sorted(names(plan)) == sorted(PAPER_METHODS)
    assert plan.left_out == {}


def test_random_is_always_there_and_first_and_every_method_once():
    assert names(make_plan(parse("--methods", "k_means,entropy,k_means"))) == ["random", "k_means", "entropy"]
    assert names(make_plan(parse("--methods", "k_means,random"))) == ["random", "k_means"]


def test_any_method_of_the_table_can_be_asked_for():
    asked = [name for name in METHODS if name != "cascade"]
    plan = make_plan(parse("--methods", ",".join(asked)))
    assert {*names(plan), *plan.left_out} == {*asked}
    assert len(names(plan)) >= 22


def test_what_does_not_serve_the_task_is_left_out_with_its_reason():
    plan = make_plan(parse("--methods", "ifd,k_means"))
    assert names(plan) == ["random", "k_means"]
    assert "does not serve classification" in plan.left_out["ifd"]
    plan = make_plan(parse("--task", "causal_lm", "--methods", "contrastive,ifd"))
    assert names(plan) == ["random", "ifd"]
    assert list(plan.left_out) == ["contrastive"]


def test_a_method_without_its_companion_is_left_out_unless_the_demo_makes_it():
    words = ("--methods", "uq_icl", "--model_name_or_path", "some/encoder")
    assert "--language_model_name_or_path" in make_plan(parse(*words)).left_out["uq_icl"]
    assert names(make_plan(parse(*words, "--language_model_name_or_path", "some/lm"))) == ["random", "uq_icl"]
    assert names(make_plan(parse("--methods", "uq_icl"))) == ["random", "uq_icl"]


def test_batch_bald_falls_back_beyond_its_batch_and_says_so():
    [_, method] = make_plan(parse("--methods", "batch_bald")).methods
    assert method.config()["fallback"] == "power_bald"


def test_methods_are_made_for_the_task():
    [_, method] = make_plan(parse("--methods", "entropy")).methods
    assert method.config()["task"] == "classification"


def test_budgets_are_read_once_each():
    assert [budget_name(budget) for budget in parse_budgets("1%, 5%,200,1%")] == ["1%", "5%", "200"]


def test_folders_of_cells_differ_and_are_plain():
    cells = [(name, budget) for name in ("k_means", "bald") for budget in (*parse_budgets("1%,10%,10"), None)]
    folders = [cell_folder(*cell) for cell in cells]
    assert folders[:4] == ["k_means-1pct", "k_means-10pct", "k_means-10", "k_means-100pct"]
    assert len(set(folders)) == 8


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("--methods", "entropi"), UnknownNameError, "Did you mean 'entropy'"),
        (("--methods", " , "), ConfigError, "names no method"),
        (("--budgets", ","), ConfigError, "names no budget"),
        (("--budgets", "2M tokens"), ConfigError, "compared at equal rows"),
        (("--budgets", "140%"), BudgetError, "140%"),
        (("--task", "clasification"), ConfigError, "Did you mean 'classification'"),
    ],
)
def test_what_cannot_be_compared_is_refused(words, error, message):
    with pytest.raises(error, match=message):
        make_plan(parse(*words))
