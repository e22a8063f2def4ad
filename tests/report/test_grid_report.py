"""The report of a comparison and its plots, from results made by hand."""

import json
import re

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.overlap import overlap
from hf_select.report import END_OF_SUMMARY
from hf_select.report.grid_plots import plot_budget_curves, plot_grid_cost, plot_methods
from hf_select.report.grid_report import write_grid_report
from hf_select.report.grid_result import Grid
from hf_select.selection import Selection
from tests.report.grid_case import results


def overlaps(budgets=("1%", "5%")):
    kept = {"random": [0, 1, 2, 3], "entropy": [2, 3, 4, 5]}
    made = {name: Selection(np.array(rows), np.zeros(4), 20) for name, rows in kept.items()}
    return {budget: [overlap(made, n_candidates=16)] * 3 for budget in budgets}


def test_the_report_holds_both_tables_curves_overlaps_and_costs(tmp_path):
    text = write_grid_report(tmp_path, results(), overlaps()).read_text()
    summary, _, rest = text.partition(END_OF_SUMMARY)
    assert summary.startswith("# Report: dsbox, rows.jsonl")
    assert summary.index("## Accuracy") < summary.index("## F1") < summary.index("## What the data bear out")
    assert summary.count("All rows of the pool: 0.900.") == 1
    assert "no method picks them, the warm-up learned them, and every cell trains on them" in rest
    assert "does not serve classification models" in rest
    assert "| 5% | 5 | 10 |" in rest
    for picture in re.findall(r"\]\((plots/[^)]+\.png)\)", text):
        assert (tmp_path / picture).is_file()
        assert (tmp_path / picture).with_suffix(".json").is_file()
    drawn = {path.name for path in (tmp_path / "plots").glob("*.png")}
    assert drawn == {
        "accuracy.png", "accuracy_budget_curve.png", "cost.png", "f1.png", "f1_budget_curve.png", "overlap.png",
    }  # fmt: skip


def test_one_budget_has_no_curve(tmp_path):
    write_grid_report(tmp_path, results(budgets=("5%",)), overlaps(("5%",)))
    assert {path.name for path in (tmp_path / "plots").glob("*.png")} == {
        "accuracy.png", "cost.png", "f1.png", "overlap.png",
    }  # fmt: skip


def test_failed_cells_are_told_with_their_reason(tmp_path):
    cells = [*results(1)["cells"], {"method": "bald", "budget": "1%", "seed": 0, "error": "ModelError: no | dropout"}]
    text = write_grid_report(tmp_path, results(1, cells=cells), {}).read_text()
    assert "## Failed" in text
    assert "| bald at 1%, seed 0 | ModelError: no &#124; dropout |" in text
    assert not (tmp_path / "plots" / "overlap.png").exists()


def test_without_matplotlib_there_are_tables_only(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_select.report.grid_report.find_spec", lambda _: None)
    text = write_grid_report(tmp_path, results(), overlaps()).read_text()
    assert "matplotlib is not installed" in text
    assert not (tmp_path / "plots").exists()


def test_the_curve_holds_means_and_the_band_of_random(tmp_path):
    found = results(3)
    grid = Grid.of(found)
    path = plot_budget_curves(grid, "accuracy", found["budget_rows"], found["families"], tmp_path / "curve.png")
    written = json.loads(path.with_suffix(".json").read_text())
    curves = {curve["method"]: curve for curve in written["data"]["curves"]}
    assert curves["random"]["mean"] == pytest.approx([0.60, 0.65])
    assert curves["random"]["low"] == pytest.approx([0.59, 0.64])
    assert curves["random"]["high"] == pytest.approx([0.61, 0.66])
    assert curves["entropy"]["rows"] == [1, 5]
    assert "Mean over 3 seeds" in written["caption"]


def test_one_budget_is_drawn_method_by_method(tmp_path):
    path = plot_methods(Grid.of(results(3)), "accuracy", "5%", tmp_path / "dots.png")
    [random, *_] = json.loads(path.with_suffix(".json").read_text())["data"]["methods"]
    assert random == {"method": "random", "mean": pytest.approx(0.65), "values": pytest.approx([0.64, 0.65, 0.66])}


def test_the_cost_stands_beside_the_training(tmp_path):
    path = plot_grid_cost(Grid.of(results(2)), "5%", tmp_path / "cost.png")
    written = json.loads(path.with_suffix(".json").read_text())
    assert written["data"]["methods"][1] == {
        "method": "entropy", "selection_seconds": 2.0, "training_seconds": 6.0,
    }  # fmt: skip
    assert "charged with all it would have needed alone" in written["caption"]
    with pytest.raises(ConfigError, match="No method has seconds"):
        plot_grid_cost(Grid.of(results(2)), "7%", tmp_path / "cost.png")


def test_what_cannot_be_drawn_is_refused(tmp_path):
    found = results(budgets=("5%",))
    with pytest.raises(ConfigError, match="two budgets or more"):
        plot_budget_curves(Grid.of(found), "accuracy", {"5%": 5}, found["families"], tmp_path / "c.png")
    found = results()
    with pytest.raises(ConfigError, match="'pass_at_1'"):
        plot_budget_curves(Grid.of(found), "pass_at_1", found["budget_rows"], found["families"], tmp_path / "c.png")
    with pytest.raises(ConfigError, match="'pass_at_1'"):
        plot_methods(Grid.of(found), "pass_at_1", "5%", tmp_path / "c.png")


def test_a_hostile_method_name_stays_text(tmp_path):
    cells = [{**c, "method": c["method"].replace("entropy", "<b>x|y</b>")} for c in results(1)["cells"]]
    found = results(1, cells=cells, methods=["random", "<b>x|y</b>"])
    found["families"]["<b>x|y</b>"] = "uncertainty"
    text = write_grid_report(tmp_path, found, {}).read_text()
    assert "<b>" not in text.replace("<!-- ", "")


def test_leaked_problems_of_every_cell_that_was_measured(tmp_path):
    found = results(2, budgets=("5%",), config={"gates": "leakage"})
    for place, one in enumerate(found["cells"]):
        measured = {
            "pass_at_1": 0.5,
            "n_leaked_problems": place,
            "n_uncontaminated": 9,
            "pass_at_1_uncontaminated": 0.25,
        }
        one["benchmarks"] = {"humaneval": measured}
    found["cells"][1]["error"] = "ModelError: no dropout"
    lines = write_grid_report(tmp_path, found, {}).read_text().splitlines()
    assert "Nothing (leakage)." in lines
    assert [line for line in lines if "| humaneval |" in line] == [
        "| random:5% | humaneval | 2 ± 3 | 9 | 0.500 | 0.250 |",
        "| entropy:5% | humaneval | 5 | 9 | 0.500 | 0.250 |",
        "| k_means:5% | humaneval | 4 ± 3 | 9 | 0.500 | 0.250 |",
        "| full | humaneval | 5 ± 3 | 9 | 0.500 | 0.250 |",
    ]
