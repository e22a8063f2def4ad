"""The cost curve: seconds of selection and training, and what was reached."""

import json

import pytest

from hf_select.errors import ConfigError
from hf_select.report.cost_plot import has_cost_curve, plot_cost_curve


def test_every_arm_is_a_point_with_all_its_seconds(results, tmp_path):
    path = plot_cost_curve(results["arms"], "pass_at_1", tmp_path / "cost.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    points = {one["arm"]: one for one in told["data"]["arms"]}
    assert len(points) == len(results["arms"]) == 4
    assert points["gates+cdas:40%"] == {
        "arm": "gates+cdas:40%", "selection_seconds": 120.4, "training_seconds": 14.0, "mean": 0.88, "sd": None,
        "n_seeds": 1,
    }  # fmt: skip
    assert told["caption"].startswith("n = 4 arms, mean over 1 seed;")
    assert told["data"]["measure"] == "pass_at_1"


def test_seeds_have_a_mean_and_a_deviation(tmp_path):
    seeds = [{"validation_loss": 0.3, "training_seconds": 2.0}, {"validation_loss": 0.5, "training_seconds": 4.0}]
    arms = [{"name": name, "per_seed": seeds} for name in ("a", "b $x$")]
    path = plot_cost_curve(arms, "validation_loss", tmp_path / "cost.png")
    first = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["data"]["arms"][0]
    assert first["mean"] == pytest.approx(0.4)
    assert first["sd"] == pytest.approx(0.1414, abs=1e-4)
    assert (first["selection_seconds"], first["training_seconds"], first["n_seeds"]) == (0.0, 3.0, 2)


def test_one_arm_is_no_curve(results, tmp_path):
    assert has_cost_curve(results["arms"], "pass_at_1")
    assert not has_cost_curve(results["arms"][:1], "pass_at_1")
    with pytest.raises(ConfigError, match="needs two arms"):
        plot_cost_curve(results["arms"][:1], "pass_at_1", tmp_path / "cost.png")
