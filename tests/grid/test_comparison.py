"""Counting cells, telling how they went, and what selections share over seeds."""

import logging
from types import SimpleNamespace

import numpy as np

from hf_select.grid.comparison import Outcome, Progress, n_cells, overlaps_of
from hf_select.grid.plan import make_plan
from hf_select.selection import Selection
from tests.grid.conftest import parse


def selection(*rows):
    return Selection(np.array(rows), np.zeros(len(rows)), 20)


def outcome(**picks):
    setting = SimpleNamespace(n_pickable=16)
    return Outcome(
        setting, selections={(budget, name): kept for name, of in picks.items() for budget, kept in of.items()}
    )


def test_cells_are_methods_by_budgets_by_seeds_and_the_whole_pool_once_a_seed():
    plan = make_plan(parse("--methods", "entropy,bm25", "--budgets", "1%,5%"))
    assert n_cells(plan, 3, full=False) == 18
    assert n_cells(plan, 3, full=True) == 21


def test_overlaps_are_of_the_methods_that_picked_everywhere():
    plan = make_plan(parse("--methods", "entropy,bm25", "--budgets", "5%,10%"))
    whole = {"5%": selection(0, 1), "10%": selection(0, 1, 2, 3)}
    outcomes = [
        outcome(random=whole, entropy={"5%": selection(1, 2), "10%": selection(3, 4, 5, 6)}, bm25=whole),
        outcome(random=whole, entropy=whole, bm25={"5%": selection(9, 8)}),
    ]
    found = overlaps_of(outcomes, plan)
    assert list(found) == ["5%", "10%"]
    assert [len(of_seeds) for of_seeds in found.values()] == [2, 2]
    first, second = found["5%"]
    assert first.names == second.names == ("random", "entropy")
    assert (first.fraction[0, 1], second.fraction[0, 1]) == (0.5, 1.0)
    assert first.n_candidates == 16
    assert first.expected_fraction[0, 1] == 2 / 16


def test_a_single_method_shares_nothing():
    plan = make_plan(parse("--methods", "random", "--budgets", "5%"))
    assert overlaps_of([outcome(random={"5%": selection(0, 1)})], plan) == {}


def test_progress_tells_the_measures_the_errors_and_the_time_left(monkeypatch):
    said = []
    monkeypatch.setattr(logging.getLogger("hf_select"), "info", lambda text, *values: said.append(text % values))
    progress = Progress(4)
    cell = {
        "method": "bald",
        "budget": "5%",
        "seed": 0,
        "rows": 9,
        "training_seconds": 2.0,
        "accuracy": 0.75,
        "f1": 0.5,
    }
    progress.tell(cell, 0.01)  # found finished
    progress.tell(cell, 120.0)
    progress.tell({"method": "zip", "budget": "5%", "seed": 0, "error": "ConfigError: no row"}, 60.0)
    progress.tell(cell, 60.0)
    assert said[0] == "cell 1 of 4: bald at 5%, seed 0: 9 rows, 2.0 s training, accuracy 0.750, f1 0.500"
    assert said[1].endswith("; about 4.0 minutes left")
    assert "failed: ConfigError: no row; about 1.5 minutes left" in said[2]
    assert "minutes left" not in said[3]
