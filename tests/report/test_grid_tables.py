"""The tables of a comparison, from results made by hand."""

import pytest

from hf_select.report.grid_finding import grid_caveats, grid_findings
from hf_select.report.grid_result import Grid
from hf_select.report.grid_tables import differences_table, grid_cost_table, scores_table
from tests.report.grid_case import cell, results


def cells_of(text):
    return [[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if "---" not in line]


def test_methods_by_budgets_with_spread_and_arrows():
    table = cells_of(scores_table(Grid.of(results(6)), "accuracy"))
    assert table[0] == ["method", "1%", "5%"]
    assert table[1] == ["random", "0.615 ± 0.019", "0.665 ± 0.019"]
    assert table[2][0] == "entropy"
    assert table[2][1] == "0.768 ± 0.021"
    assert [row[0] for row in table[1:]] == ["random", "entropy", "k_means"]
    # p = 2 / 64 of six seeds, adjusted for two methods: 0.0625, so nothing is marked
    assert "↑" not in str(table)


def test_an_arrow_stands_where_a_difference_survives_the_adjustment():
    table = cells_of(scores_table(Grid.of(results(8)), "accuracy"))
    assert table[2][1].endswith("↑")
    assert "↑" not in table[3][1] + table[3][2]
    worse = [{**c, "accuracy": 1 - c["accuracy"]} for c in results(8)["cells"]]
    assert cells_of(scores_table(Grid.of(results(8, cells=worse)), "accuracy"))[2][1].endswith("↓")


def test_a_lower_loss_is_better():
    cells = [{**c, "validation_loss": 1 - c["accuracy"]} for c in results(8)["cells"]]
    grid = Grid.of(results(8, cells=cells, measures=["validation_loss"]))
    assert cells_of(scores_table(grid, "validation_loss"))[2][1].endswith("↑")
    assert "better than random: entropy" in grid_findings(grid)[0]


def test_a_cell_that_failed_or_was_not_run_is_a_dash():
    cells = [c for c in results(2)["cells"] if (c["method"], c["budget"]) != ("k_means", "1%")]
    cells += [{"method": "k_means", "budget": "1%", "seed": 0, "error": "ConfigError: no head"}]
    table = cells_of(scores_table(Grid.of(results(2, cells=cells)), "accuracy"))
    assert table[3][0:2] == ["k_means", "–"]
    assert table[3][2] != "–"


def test_one_seed_has_no_spread_and_no_p():
    grid = Grid.of(results(1))
    assert cells_of(scores_table(grid, "accuracy"))[1] == ["random", "0.590", "0.640"]
    assert cells_of(differences_table(grid, "accuracy"))[1] == ["entropy", "+0.150", "+0.150"]


def test_differences_carry_p_and_the_adjusted_p():
    table = cells_of(differences_table(Grid.of(results(6)), "accuracy"))
    assert table[0] == ["accuracy less random", "1%", "5%"]
    assert table[1] == ["entropy", "+0.153 (0.031, 0.062)", "+0.153 (0.031, 0.062)"]
    assert [row[0] for row in table[1:]] == ["entropy", "k_means"]


def test_the_cost_of_a_selection_and_its_share():
    table = cells_of(grid_cost_table(Grid.of(results(2)), "5%"))
    assert table[2] == ["entropy", "2.0", "6.0", "25.0"]
    assert table[1] == ["random", "0.1", "6.0", "1.6"]


def test_findings_name_the_test_and_what_it_shows():
    assert (
        "no method differs measurably from random (paired permutation test, Holm)"
        in grid_findings(Grid.of(results(6)))[0]
    )
    found = grid_findings(Grid.of(results(8)))
    assert len(found) == 4
    assert found[0].startswith("**accuracy at 1%** (random 0.625")
    assert "better than random: entropy (paired permutation test, Holm)." in found[0]
    few = grid_findings(Grid.of(results(3)))
    assert "Welch" in few[0]
    assert "1 of 2 methods lie ahead of random; not tested." in grid_findings(Grid.of(results(1)))[0]


@pytest.mark.parametrize(
    ("n", "said"),
    [(1, "1 seed: too few"), (2, "2 seeds: too few"), (3, "3 seeds: Welch's t-test"), (6, "6 seeds: two-sided paired")],
)
def test_caveats_say_what_so_many_seeds_can_tell(n, said):
    found = results(n)
    assert grid_caveats(Grid.of(found), found)[0].startswith(said)


def test_caveats_say_what_the_test_rows_resolve():
    found = results(1, cells=[{**c, "n_test": 480} for c in results(1)["cells"]])
    said = " ".join(grid_caveats(Grid.of(found), found))
    # by hand: 1.96 times the root of 2 x .59 x .41 over 480
    assert "The 480 test rows of one seed resolve differences of about 6.2 points of accuracy" in said


def test_caveats_name_short_cells_and_missing_execution():
    cells = [*results(1)["cells"], cell("bald", "1%", 0, 0.5, n_picked=4)]
    found = results(1, cells=cells, measures=["pass_at_1", "validation_loss"])
    said = " ".join(grid_caveats(Grid.of(found), found))
    assert "bald at 1%, seed 0 (4 of 10)" in said
    assert "pass@1 was not measured" in said
