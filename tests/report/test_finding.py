"""What a run bears out: said plainly, for every way it can come out."""

import pytest

from hf_select.report.finding import NOT_EXECUTED, NOTHING_SOLVED, caveats, findings


def set_rate(results, name, rate):
    next(arm for arm in results["arms"] if arm["name"] == name)["pass_at_1"] = rate


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.88, "**gates+cdas:40%** does not differ measurably from random at the same budget (gates+random:40%): +1.5"),
        (0.99, "**gates+cdas:40%** is better than random at the same budget (gates+random:40%): +12.5 points"),
        (0.50, "**gates+cdas:40%** is worse than random at the same budget (gates+random:40%): -36.5 points"),
    ],
)
def test_the_method_is_held_against_random(results, rate, said):
    set_rate(results, "gates+cdas:40%", rate)
    first = findings(results)[0]
    assert first.startswith(said)
    assert ("does not show that the method helps" in first) == (rate == 0.88)
    assert "took 134 s against 14.0 s" in first


def test_the_gain_of_the_gates_is_credited_to_the_gates(results):
    gates = [text for text in findings(results) if text.startswith("The gates alone")]
    assert len(gates) == 1
    assert "**gates+random:40%** is better than random:40%: +31.0 points" in gates[0]


def test_subsets_are_held_against_all_rows_with_their_share_of_rows_and_steps(results):
    said = [text for text in findings(results) if "all rows (full)" in text]
    assert len(said) == 3
    assert said[0].startswith("**random:40%** (40 % of the rows, 1,200, 40 % of the steps, 304) is worse than all rows")


def test_the_resolution_of_one_seed_is_told(results):
    assert findings(results)[-1].startswith("One seed on 200 problems resolves differences of about 6 to 10 points")


def test_where_nothing_is_solved_the_loss_is_compared_and_pass_at_1_is_not(results):
    for arm in results["arms"]:
        arm["pass_at_1"] = 0.0
    said = findings(results)
    assert said[0] == NOTHING_SOLVED
    assert len(said) == 2
    assert "**gates+cdas:40%** ends at a validation loss of" in said[1]
    assert "does not decide" in said[1]
    assert not any("points of pass@1" in text for text in said)


def test_without_execution_nothing_is_decided(not_executed):
    said = findings(not_executed)
    assert len(said) == 2
    assert "not decided, because pass@1 was not measured. Validation loss 0.4400 against 0.4400" in said[0]
    assert "runs only after the user" in said[1]
    assert NOT_EXECUTED in caveats(not_executed)


def test_caveats_name_seeds_steps_and_junk(results):
    said = " ".join(caveats(results))
    assert "1 seed: intervals cover the draw of the problems, not the noise of training" in said
    assert "between 304 and 752 optimiser steps" in said
    assert "55 % junk" in said
    assert "oracle" in said
    assert NOT_EXECUTED not in said


def test_caveats_that_do_not_apply_are_not_said(results):
    for arm in results["arms"]:
        arm.update(steps=100, seeds=[0, 1, 2], per_seed=[{"pass_at_1": 0.5, "steps": 100}] * 3)
    assert caveats(results | {"junk_fraction": None}) == []


def test_a_budget_that_was_not_reached_is_told(results):
    results["arms"][3]["rows"] = 1000
    assert any(
        "At budget 40% the arms differ in rows: random:40% 1,200, gates+random:40% 1,200, gates+cdas:40% 1,000" in text
        for text in caveats(results)
    )


def test_many_comparisons_are_warned_about(results):
    others = [results["arms"][3] | {"name": f"m{i}", "method": f"m{i}"} for i in range(3)]
    results["arms"] = [*results["arms"], *others]
    assert any(text.startswith("4 methods are compared") for text in caveats(results))


@pytest.mark.parametrize("results", [{}, {"arms": []}, {"arms": [{}]}])
def test_empty_results_are_no_error(results):
    assert isinstance(findings(results), list)
    assert isinstance(caveats(results), list)


def test_names_cannot_break_out(results):
    for arm in results["arms"]:
        arm["name"] += "<b>\n|`"
    text = "\n".join(findings(results))
    assert "<b>" not in text
    assert "|" not in text
    assert text.count("\n") == len(findings(results)) - 1
