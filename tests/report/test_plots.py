"""Every plot: a picture and its data beside it, for full and bare input; the caller's matplotlib stays as it was."""

import json
import sys

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.report import arm_plots, selection_plots
from hf_select.report.figure import caption_of

PNG = b"\x89PNG\r\n\x1a\n"
ARM_PLOTS = {
    "pass_at_1": arm_plots.plot_pass_at_1,
    "validation_loss": arm_plots.plot_validation_loss,
    "padding_fraction": arm_plots.plot_padding,
    "training_seconds": arm_plots.plot_cost,
}


def data_of(path):
    assert path.read_bytes().startswith(PNG)
    content = json.loads(path.with_suffix(".json").read_text())
    assert content["caption"] == caption_of(path) != ""
    return content["data"]


@pytest.mark.parametrize("measure", ARM_PLOTS)
def test_a_plot_of_all_arms(results, tmp_path, measure):
    path = ARM_PLOTS[measure](results["arms"], tmp_path / "deep" / "plot.png")
    names = [record["arm"] for record in data_of(path)["arms"]]
    assert names == ["full", "random:40%", "gates+random:40%", "gates+cdas:40%"]
    assert "Seed 0" in caption_of(path)


@pytest.mark.parametrize("measure", ARM_PLOTS)
def test_arms_without_the_measure_are_named_not_drawn(results, tmp_path, measure):
    results["arms"][1][measure] = None
    path = ARM_PLOTS[measure](results["arms"], tmp_path / "plot.png")
    assert len(data_of(path)["arms"]) == 3
    assert "Not measured: random:40%" in caption_of(path)


@pytest.mark.parametrize("measure", ARM_PLOTS)
def test_one_bare_arm_is_enough_and_none_is_refused(tmp_path, measure):
    data_of(ARM_PLOTS[measure]([{measure: 0.5}], tmp_path / "plot.png"))
    with pytest.raises(ConfigError, match=f"No arm has a value for '{measure}'"):
        ARM_PLOTS[measure]([{"name": "a"}], tmp_path / "none.png")


def test_the_interval_and_single_seeds_stand_in_the_data(results, tmp_path):
    arm = results["arms"][0] | {"seeds": [0, 1], "per_seed": [{"pass_at_1": 0.8}, {"pass_at_1": 0.9}]}
    (record,) = data_of(arm_plots.plot_pass_at_1([arm], tmp_path / "p.png"))["arms"]
    assert record == {"arm": "full", "mean": pytest.approx(0.85), "values": [0.8, 0.9], "interval": [0.772, 0.876]}


def test_missing_times_are_told_and_not_written_as_zero(results, tmp_path):
    results["arms"][0]["selection_seconds"] = None
    path = arm_plots.plot_cost(results["arms"], tmp_path / "cost.png")
    assert data_of(path)["arms"][0]["selection_seconds"] == []
    assert "selection seconds not measured, drawn as none: full" in caption_of(path)


def budgets(results):
    random, cdas = results["arms"][2:]
    more = [arm | {"budget": "10%", "rows": 300, "pass_at_1": 0.4} for arm in (random, cdas)]
    return [results["arms"][0], random, cdas, *more]


def test_the_budget_curve_has_a_line_per_method_in_order_of_rows(results, tmp_path):
    path = arm_plots.plot_budget_curve(budgets(results), tmp_path / "curve.png", n_rows=3000)
    curves = {curve["method"]: curve for curve in data_of(path)["curves"]}
    assert list(curves) == ["random after gates", "cdas after gates"]
    assert curves["cdas after gates"]["rows"] == [10.0, 40.0]
    assert curves["cdas after gates"]["pass_at_1"] == [0.4, 0.88]
    assert curves["random after gates"]["band"][1] == [0.811, 0.906]


def test_the_band_of_several_seeds_is_mean_and_deviation(results, tmp_path):
    arms = [arm | {"per_seed": [{"pass_at_1": 0.4}, {"pass_at_1": 0.6}]} for arm in budgets(results)]
    for arm in arms:
        arm["per_seed"] = [{**record, "rows": arm["rows"]} for record in arm["per_seed"]]
    data = data_of(arm_plots.plot_budget_curve(arms, tmp_path / "curve.png"))
    assert data["curves"][0]["band"][0] == pytest.approx([0.5 - 0.02**0.5, 0.5 + 0.02**0.5])


def test_one_budget_is_no_curve(results, tmp_path):
    assert arm_plots.budget_curves(results["arms"]) == {}
    with pytest.raises(ConfigError, match="two or more budgets"):
        arm_plots.plot_budget_curve(results["arms"], tmp_path / "curve.png")


SCORES = np.array([0.1, 0.2, 0.3, 0.9, np.nan])
KEPT = np.array([False, False, True, True, False])


def test_the_histogram_counts_every_finite_score(tmp_path):
    path = selection_plots.plot_scores(SCORES, KEPT, tmp_path / "s.png", name="IFD", unit="ratio", threshold=1.0)
    data = data_of(path)
    assert (sum(data["kept"]), sum(data["dropped"]), data["threshold"]) == (2, 2, 1.0)
    assert caption_of(path) == "n = 5 rows, 2 kept; 1 without a finite score."


def test_the_histogram_of_equal_scores_and_of_nothing_kept(tmp_path):
    data_of(selection_plots.plot_scores(np.ones(4), np.zeros(4, bool), tmp_path / "s.png"))
    with pytest.raises(ConfigError, match="No finite score among 2 rows"):
        selection_plots.plot_scores(np.array([np.nan, np.inf]), np.zeros(2, bool), tmp_path / "n.png")


def test_strata_are_counted_largest_first(tmp_path):
    path = selection_plots.plot_strata(["b", "a", "a", "$c$", "a"], KEPT, tmp_path / "s.png", name="origin")
    strata = data_of(path)["strata"]
    assert strata == {
        "a": {"kept": 1, "dropped": 2},
        "$c$": {"kept": 1, "dropped": 0},
        "b": {"kept": 0, "dropped": 1},
    }
    assert next(iter(strata)) == "a"


def test_many_strata_are_cut_in_the_picture_only(tmp_path):
    path = selection_plots.plot_strata(np.arange(70), np.ones(70, bool), tmp_path / "s.png")
    assert len(data_of(path)["strata"]) == 70
    assert "10 smallest strata are not drawn" in caption_of(path)


def test_lengths_fall_into_bins_of_whole_tokens(tmp_path):
    lengths = np.array([1, 2, 2, 3, 100])
    data = data_of(selection_plots.plot_lengths(lengths, KEPT, tmp_path / "l.png", tokenizer="demo"))
    assert (sum(data["all_rows"]), sum(data["kept_rows"])) == (5, 2)
    assert set(np.diff(data["edges"])) == {3.0}
    assert data["edges"][0] == 0.5
    data_of(selection_plots.plot_lengths(np.full(5, 7), np.zeros(5, bool), tmp_path / "same.png"))


def test_the_map_draws_a_seeded_sample_of_many_rows(tmp_path):
    vectors, kept = np.random.default_rng(0).normal(size=(50, 4)), np.arange(50) < 20
    paths = [tmp_path / name for name in ("a.png", "b.png", "all.png")]
    for path in paths[:2]:
        selection_plots.plot_embedding(vectors, kept, path, seed=3, max_points=30)
    first, second = map(data_of, paths[:2])
    assert first == second
    assert len(first["row_ids"]) == 30
    assert first["kept"] == [row < 20 for row in first["row_ids"]]
    everything = data_of(selection_plots.plot_embedding(vectors, kept, paths[2]))
    assert everything["row_ids"] == list(range(50))


@pytest.mark.parametrize("shape", [(2, 4), (5, 1), (5,)])
def test_a_map_needs_rows_and_dimensions(tmp_path, shape):
    with pytest.raises(ConfigError, match="at least 3 rows of 2 dimensions"):
        selection_plots.plot_embedding(np.zeros(shape), np.zeros(shape[0], bool), tmp_path / "m.png")


@pytest.mark.parametrize(
    "draw",
    [
        selection_plots.plot_scores,
        selection_plots.plot_strata,
        selection_plots.plot_lengths,
        selection_plots.plot_embedding,
    ],
)
def test_arrays_of_different_or_no_length_are_refused(tmp_path, draw):
    for values, kept in ((np.zeros((3, 2)), np.zeros(2, bool)), (np.zeros((0, 2)), np.zeros(0, bool))):
        with pytest.raises(ConfigError, match="the lengths are"):
            draw(values, kept, tmp_path / "p.png")


def test_hostile_names_are_drawn_as_they_are(results, tmp_path):
    for arm, name in zip(results["arms"], ("$\\frac{", "日本語 🦀", "a\nb", "x" * 300), strict=True):
        arm["name"] = name
    data_of(arm_plots.plot_pass_at_1(results["arms"], tmp_path / "p.png"))


def test_the_global_state_of_matplotlib_is_left_alone(results, tmp_path):
    import matplotlib

    settings, had_pyplot = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    arm_plots.plot_pass_at_1(results["arms"], tmp_path / "p.png")
    assert dict(matplotlib.rcParams) == settings
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_without_matplotlib_the_extra_is_named(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'hf-select\[plots\]'"):
        arm_plots.plot_pass_at_1(results["arms"], tmp_path / "p.png")
