"""Bars of what gates dropped and of what leaked, with their data and captions."""

import json

import pytest

from hf_select.errors import ConfigError
from hf_select.report.gate_plots import leaks_of, plot_dropped, plot_leakage
from hf_select.report.report import write_report


def told(path):
    assert path.read_bytes()[:4] == b"\x89PNG"
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def arm(name, *n_leaked):
    of = [{"humaneval": {"n_leaked_problems": n, "n_uncontaminated": 164 - n}, "mine": {}} for n in n_leaked]
    return {"name": name, "seeds": list(range(len(n_leaked))), "per_seed": [{"benchmarks": found} for found in of]}


def test_rows_that_gates_dropped(tmp_path):
    found = told(plot_dropped({"duplicate": 30, "leaks humaneval (words)": 10}, 2000, tmp_path / "gates.png"))
    assert found["data"] == {
        "dropped": {"duplicate": 30, "leaks humaneval (words)": 10}, "n_rows": 2000, "n_passed": 1960,
    }  # fmt: skip
    assert found["caption"].startswith("n = 2,000 rows, 1,960 passed.")
    with pytest.raises(ConfigError, match="nothing to draw"):
        plot_dropped({}, 5, tmp_path / "none.png")


def test_leaks_are_means_over_seeds():
    assert leaks_of([arm("full", 40, 20), arm("gates+full", 0)]) == [
        {"arm": "full", "benchmark": "humaneval", "n_leaked": 30.0, "n_problems": 164.0},
        {"arm": "gates+full", "benchmark": "humaneval", "n_leaked": 0.0, "n_problems": 164.0},
    ]


def test_the_leakage_bar(tmp_path):
    found = told(plot_leakage([arm("full", 40, 20), arm("gates+full", 0, 0)], tmp_path / "leakage.png"))
    assert [one["n_leaked"] for one in found["data"]["arms"]] == [30.0, 0.0]
    assert found["data"]["seeds"] == [0, 1]
    assert found["caption"].startswith(
        "n = humaneval 164 problems. Mean over the seeds 0, 1. A problem leaks where 10 wo"
    )
    with pytest.raises(ConfigError, match="looked for in no arm"):
        plot_leakage([{"name": "full", "per_seed": [{"benchmarks": {"humaneval": {}}}]}], tmp_path / "none.png")


def test_the_report_shows_both(results, tmp_path):
    leaking = {"pass_at_1": 0.8, "n_leaked_problems": 4, "n_uncontaminated": 196, "pass_at_1_uncontaminated": 0.8}
    results["arms"][0]["per_seed"] = [{"pass_at_1": 0.8, "benchmarks": {"mine": leaking}}]
    page = write_report(tmp_path, results).read_text(encoding="utf-8")
    assert "(plots/gates.png)" in page
    assert "(plots/leakage.png)" in page
    assert "(plots/cost_curve.png)" in page
    results["gates"] = {}
    results["arms"] = results["arms"][1:]
    page = write_report(tmp_path / "none", results).read_text(encoding="utf-8")
    assert "plots/gates.png" not in page
    assert "plots/leakage.png" not in page
