"""Picking: one method at one budget, from signals that were read before."""

from __future__ import annotations

import time

import numpy as np

from hf_select.budget import Budget
from hf_select.errors import ConfigError
from hf_select.experiment.process import on_main_process
from hf_select.grid.plan import cell_folder
from hf_select.grid.seed_signals import SeedSignals
from hf_select.grid.setting import GridSetting
from hf_select.methods import Method
from hf_select.select import select_from
from hf_select.selection import Selection
from hf_select.signals.keys import Indices


def choose(signals: SeedSignals, method: Method, budget: Budget) -> tuple[Selection, float]:
    """Let a method pick from the pool; its labelled rows are never picked.

    Args:
        signals: the signals of the seed.
        method: the method.
        budget: rows, or a share of the pool, its labelled rows counted.

    Returns:
        The picks, and the seconds they cost: trainings and passes as if the method had run alone, and the picking.

    Raises:
        ConfigError: if a signal of the method could not be read, or no row is eligible.
    """
    if reason := signals.failure(method):
        raise ConfigError(reason)
    setting = signals.preparation.setting
    place = f"{cell_folder(method.name, budget)}/{setting.name}"
    folder = setting.run.folder / "selections" / place

    def compute() -> dict[str, float]:
        began = time.perf_counter()
        rows = Budget.rows(budget.n_rows(len(setting.split.pool)))
        selection = select_from(signals.extraction(method), method, rows, seed=setting.seed)
        if len(selection) == 0:
            raise ConfigError(f"{method.name!r} holds no row of the pool eligible, so there is nothing to train on.")
        on_main_process(lambda: str(selection.save(folder)))
        return {"seconds": time.perf_counter() - began}

    spent = float(setting.run.stage(f"selections/{place}", compute)["seconds"])
    return on_main_process(lambda: Selection.load(folder)), spent + signals.cost(method)


def training_rows(setting: GridSetting, selection: Selection | None) -> Indices:
    """Rows of the pool that a cell trains on: the labelled ones, which every cell has, and the picks.

    Args:
        setting: what the seed works on.
        selection: the picks; ``None`` for the whole pool.

    Returns:
        Row ids of the pool, ascending.
    """
    if selection is None:
        return np.arange(len(setting.split.pool))
    return np.union1d(setting.labelled, selection.indices)
