"""The plot of overlaps: what it shows is beside it as data, and odd shapes are drawn too."""

import json

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.overlap import overlap
from hf_select.report.overlap_plot import expectation, mean_fraction, overlap_data, plot_overlap
from hf_select.selection import Selection


def kept(*rows):
    return Selection(np.array(rows, dtype=np.int64), np.zeros(len(rows)), 10)


@pytest.fixture
def seeds():
    return [overlap({"a": kept(0, 1), "b": kept(1, 2)}), overlap({"a": kept(0, 1), "b": kept(0, 1)})]


def test_the_numbers_lie_beside_the_picture(tmp_path, seeds):
    path = plot_overlap({"20%": seeds, "2 rows": seeds[:1]}, tmp_path / "overlap.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    content = json.loads(path.with_suffix(".json").read_text())
    assert [entry["budget"] for entry in content["data"]["budgets"]] == ["20%", "2 rows"]
    first = content["data"]["budgets"][0]
    assert first["overlap"] == [[1, 0.75], [0.75, 1]]
    assert [seed[0]["n_shared"] for seed in first["per_seed"]] == [1, 2]
    assert "n = 10 candidates, mean over 2 seeds" in content["caption"]


def test_means_and_expectations(seeds):
    assert mean_fraction(seeds).tolist() == [[1, 0.75], [0.75, 1]]
    assert expectation(seeds) == "20 %"
    assert expectation([overlap({"a": kept(0), "b": kept(1, 2, 3)})]) == "10 to 30 %"


@pytest.mark.parametrize(("n_selections", "n_budgets"), [(1, 1), (2, 3), (9, 2), (20, 1)])
def test_any_number_of_selections_and_budgets(tmp_path, n_selections, n_budgets):
    found = overlap({f"${number}_name": kept(number % 10) for number in range(n_selections)})
    path = plot_overlap({f"{number}%": [found] for number in range(n_budgets)}, tmp_path / "overlap.png")
    assert path.stat().st_size > 5000


def test_a_share_that_is_not_defined(tmp_path):
    found = {"1%": [overlap({"a": kept(0), "b": kept()})]}
    plot_overlap(found, tmp_path / "overlap.png")
    assert overlap_data(found)[0]["overlap"] == [[1.0, None], [None, None]]


def test_nothing_to_draw(tmp_path, seeds):
    for empty in ({}, {"1%": []}):
        with pytest.raises(ConfigError, match="at least one overlap"):
            plot_overlap(empty, tmp_path / "overlap.png")
    with pytest.raises(ConfigError, match="the same selections"):
        plot_overlap({"1%": seeds, "2%": [overlap({"a": kept(0)})]}, tmp_path / "overlap.png")
