"""A comparison from end to end: for every seed prepare and read, then pick, train and measure cell by cell."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from hf_select.budget import Budget
from hf_select.errors import HfSelectError, SandboxUnavailableError
from hf_select.experiment.run import Run
from hf_select.grid.arguments import GridArguments
from hf_select.grid.base import load_base
from hf_select.grid.choice import choose, training_rows
from hf_select.grid.data import load_data
from hf_select.grid.plan import FULL, Plan, budget_name, cell_folder
from hf_select.grid.preparation import Preparation
from hf_select.grid.seed_signals import SeedSignals
from hf_select.grid.setting import GridSetting, check_splits, make_split
from hf_select.methods import Method
from hf_select.overlap import Overlap, overlap
from hf_select.selection import Selection
from hf_select.signals.keys import Task

logger = logging.getLogger("hf_select")


@dataclass
class Progress:
    """Counts the cells of a run and says how long the rest may take.

    Attributes:
        n_cells: cells of all seeds.
        n_done: cells done so far.
        seconds: seconds that the cells of this process took, those that were found finished apart.
    """

    n_cells: int
    n_done: int = 0
    seconds: list[float] = field(default_factory=list)

    def tell(self, cell: dict[str, Any], spent: float) -> None:
        """Say what a cell gave.

        Args:
            cell: its record.
            spent: seconds it took just now.
        """
        self.n_done += 1
        if spent > 0.5:  # less is a cell that was found finished
            self.seconds.append(spent)
        left = (self.n_cells - self.n_done) * sum(self.seconds) / max(1, len(self.seconds))
        logger.info(
            "cell %d of %d: %s at %s, seed %d: %s%s",
            self.n_done, self.n_cells, cell["method"], cell["budget"], cell["seed"], _summary(cell),
            f"; about {left / 60:.1f} minutes left" if self.seconds and self.n_done < self.n_cells else "",
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one seed gave.

    Attributes:
        setting: what the seed worked on.
        cells: the record of every cell; one that failed has an ``error``.
        selections: the picks of every cell, by budget and method.
    """

    setting: GridSetting
    cells: list[dict[str, Any]] = field(default_factory=list)
    selections: dict[tuple[str, str], Selection] = field(default_factory=dict)


def run_seed(setting: GridSetting, plan: Plan, progress: Progress) -> Outcome:
    """Run all cells of one seed.

    Args:
        setting: what the seed works on.
        plan: methods and budgets.
        progress: counts the cells.

    Returns:
        What they gave.
    """
    signals = SeedSignals.read(Preparation(setting, plan.methods))
    outcome = Outcome(setting)
    full: list[tuple[Budget | None, Method | None]] = [(None, None)] * setting.arguments.selection.full_arm
    for budget, method in [*full, *product(plan.budgets, plan.methods)]:
        began = time.perf_counter()
        name, written = FULL if method is None else method.name, budget_name(budget)
        cell: dict[str, Any] = {"method": name, "budget": written, "seed": setting.seed}
        cell["n_labelled"] = len(setting.labelled)
        try:
            if method is None or budget is None:
                cell |= {"n_asked": setting.n_pickable, "n_picked": setting.n_pickable, "selection_seconds": 0.0}
            else:
                selection, seconds = choose(signals, method, budget)
                outcome.selections[written, name] = selection
                cell |= _choice(selection, seconds)
            cell |= train_cell(setting, outcome.selections.get((written, name)), cell_folder(name, budget))
        except SandboxUnavailableError:
            raise  # the machine failed, not the method
        except HfSelectError as reason:
            cell["error"] = f"{type(reason).__name__}: {reason}"
        outcome.cells.append(cell)
        progress.tell(cell, time.perf_counter() - began)
    return outcome


def _choice(selection: Selection, seconds: float) -> dict[str, Any]:
    """What a cell records of its picks."""
    made = selection.provenance
    return {
        "n_asked": made["n_asked"],
        "n_picked": len(selection),
        "excluded": made["excluded"],
        "fields": made["method"],
        "selection_seconds": seconds,
    }


def overlaps_of(outcomes: Sequence[Outcome], plan: Plan) -> dict[str, list[Overlap]]:
    """What the selections of each budget share, one count for every seed.

    Args:
        outcomes: what the seeds gave.
        plan: methods and budgets.

    Returns:
        By budget; only methods that picked in every cell are counted, and nothing if there are fewer than two.
    """
    budgets = [budget_name(budget) for budget in plan.budgets]
    everywhere = [
        method.name
        for method in plan.methods
        if all((budget, method.name) in outcome.selections for outcome in outcomes for budget in budgets)
    ]
    if len(everywhere) < 2:
        return {}
    return {
        budget: [
            overlap(
                {name: outcome.selections[budget, name] for name in everywhere},
                n_candidates=outcome.setting.n_pickable,
            )
            for outcome in outcomes
        ]
        for budget in budgets
    }


def train_cell(setting: GridSetting, selection: Selection | None, name: str) -> dict[str, Any]:
    """Train a fresh model on the labelled rows and the picks, and measure it.

    Args:
        setting: what the seed works on.
        selection: the picks; ``None`` for the whole pool.
        name: folder of the cell.

    Returns:
        The measures, read if the cell was finished before.
    """
    rows = training_rows(setting, selection)
    place = f"{name}/{setting.name}"
    folder = setting.run.folder / "models" / place
    if setting.arguments.task is Task.CLASSIFICATION:
        from hf_select.grid.classifier import train_classifier

        measures = setting.run.stage(f"cells/{place}", lambda: train_classifier(setting, rows, folder))
    else:
        from hf_select.grid.generator import train_generator

        kind = "cells" if setting.arguments.experiment.executes_code else "cells-without-execution"
        measures = setting.run.stage(f"{kind}/{place}", lambda: train_generator(setting, rows, folder))
    return dict(measures)


def prepare_settings(run: Run, arguments: GridArguments, plan: Plan) -> list[GridSetting]:
    """Load rows and model and divide the rows for every seed; all that can be refused is refused before any training.

    Args:
        run: the run folder.
        arguments: the arguments of the run.
        plan: methods and budgets.

    Returns:
        What each seed works on.
    """
    data = load_data(arguments)
    check_splits([make_split(arguments, data, seed) for seed in arguments.seeds], plan.budgets)
    base = load_base(run, arguments, data)
    if arguments.task is Task.CAUSAL_LM:
        from hf_select.grid.generator import drop_rows_without_room

        data = drop_rows_without_room(data, base)
    splits = [make_split(arguments, data, seed) for seed in arguments.seeds]
    check_splits(splits, plan.budgets)
    return [
        GridSetting(run, arguments, seed, data, base, split)
        for seed, split in zip(arguments.seeds, splits, strict=True)
    ]


def n_cells(plan: Plan, n_seeds: int, *, full: bool) -> int:
    """Cells of a run.

    Args:
        plan: methods and budgets.
        n_seeds: number of seeds.
        full: whether the whole pool is trained on too.

    Returns:
        Their number.
    """
    return n_seeds * (len(plan.methods) * len(plan.budgets) + full)


def _summary(cell: dict[str, Any]) -> str:
    if "error" in cell:
        return f"failed: {cell['error']}"
    names = ("accuracy", "f1", "pass_at_1", "validation_loss")
    known = [f"{name} {cell[name]:.3f}" for name in names if cell.get(name) is not None]
    return f"{cell['rows']} rows, {cell['training_seconds']:.1f} s training, {', '.join(known)}"
