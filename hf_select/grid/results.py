"""What a comparison writes: ``results.json``, and its cells as a table."""

from __future__ import annotations

import json
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hf_select.experiment.gating import count_leaks
from hf_select.experiment.results import versions
from hf_select.experiment.uncontaminated import CLEAN_MEASURES
from hf_select.files import replace_file
from hf_select.grid.arguments import GridArguments
from hf_select.grid.plan import FULL, Plan, budget_name
from hf_select.grid.setting import GridSetting
from hf_select.methods import METHODS
from hf_select.signals.keys import Task

MEASURES: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("accuracy", "f1"),
    Task.CAUSAL_LM: ("pass_at_1", "validation_loss"),
}
_OF_ARMS = (
    *("rows", "tokens", "steps", "selection_seconds", "training_seconds", "padding_fraction", "peak_memory_bytes"),
    *("validation_loss", "pass_at_1", *CLEAN_MEASURES, "accuracy", "f1"),
)


def grid_results(
    arguments: GridArguments, plan: Plan, settings: Sequence[GridSetting], cells: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of ``results.json``.

    Args:
        arguments: the arguments of the run.
        plan: methods and budgets.
        settings: what each seed worked on.
        cells: the record of every cell.

    Returns:
        The results as plain data: the setting, every cell, and one entry per method and budget with means over seeds.
    """
    first = settings[0]
    return {
        "recipe": "dsbox",
        "command": shlex.join(["accelerate", "launch", *sys.argv]),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "config": arguments.settings(),
        "dataset": _dataset(first),
        "measures": list(MEASURES[arguments.task]),
        "methods": [method.name for method in plan.methods],
        "budgets": [budget_name(budget) for budget in plan.budgets],
        "budget_rows": {budget_name(budget): budget.n_rows(len(first.split.pool)) for budget in plan.budgets},
        "seeds": [setting.seed for setting in settings],
        "families": {method.name: METHODS[method.name].family.value for method in plan.methods},
        "method_fields": {method.name: method.config() for method in plan.methods},
        "left_out": plan.left_out,
        "gates": dict(first.data.gates),
        "gates_not_checked": dict(first.data.gates_not_checked),
        "leakage": count_leaks(first.leaks),
        "sandbox": next((found["sandbox"] for found in _benchmarks(cells) if found.get("sandbox")), None),
        "cells": [dict(cell) for cell in cells],
        "arms": arms_of(cells),
    }


def arms_of(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry per method and budget, with means over the seeds whose cell did not fail.

    Args:
        cells: the record of every cell.

    Returns:
        The entries, in the order in which they first occur.
    """
    together: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in cells:
        if not cell.get("error"):
            together.setdefault((cell["method"], cell["budget"]), []).append(cell)
    return [
        {
            "name": FULL if method == FULL else f"{method}:{budget}",
            "method": method,
            "budget": None if method == FULL else budget,
            **{name: _mean([cell.get(name) for cell in found]) for name in _OF_ARMS},
            "seeds": [cell["seed"] for cell in found],
        }
        for (method, budget), found in together.items()
    ]


def write_cells(path: Path, cells: Sequence[Mapping[str, Any]]) -> Path:
    """Write the cells as a Parquet table, one row each; what is no number or text is written as JSON.

    Args:
        path: the file.
        cells: the record of every cell.

    Returns:
        The file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for cell in cells for name in cell))
    columns = {name: [_flat(cell.get(name)) for cell in cells] for name in names}
    return replace_file(path, lambda temporary: pq.write_table(pa.table(columns), temporary))


def _benchmarks(cells: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [found for cell in cells for found in (cell.get("benchmarks") or {}).values()]


def _dataset(setting: GridSetting) -> dict[str, Any]:
    """The rows and their parts, as the first seed has them."""
    split, data = setting.split, setting.data
    classes = {"n_classes": data.n_labels, "n_test": len(setting.test)} if data.n_labels else {}
    return {
        "name": data.pool.name,
        "n_rows": len(data.dataset),
        **classes,
        "n_validation": len(split.validation),
        "n_pool": len(split.pool),
        "n_labelled": len(setting.labelled),
        "n_left_out_as_leaking": split.n_dropped,
        "test_rows": "given" if data.test is not None else "drawn by every seed" if classes else "benchmarks",
    }


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _flat(value: Any) -> Any:
    return json.dumps(value, default=str) if isinstance(value, dict | list | tuple) else value
