"""The results of a run: one entry per arm with its mean over seeds, and every seed's own measures beside it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

import numpy as np

from hf_select import __version__
from hf_select.experiment.arguments import Arguments
from hf_select.experiment.arm import Arm
from hf_select.experiment.pool import Pool
from hf_select.report.markup import redact
from hf_select.report.result import Measure

_PACKAGES = ("torch", "transformers", "datasets", "accelerate", "peft", "evaluate", "scikit-learn", "numpy")


def seed_measures(
    seed: int, selection_seconds: float, training: Mapping[str, Any], measured: Mapping[str, Any]
) -> dict[str, Any]:
    """The measures of one arm with one seed.

    Args:
        seed: the seed.
        selection_seconds: what choosing the rows cost.
        training: the training record.
        measured: validation losses and benchmarks.

    Returns:
        One flat entry; ``validation_loss`` and ``pass_at_1`` are those of the first benchmark, ``None`` where there is
        none or nothing was executed.
    """
    losses, benchmarks = measured["validation_losses"], measured["benchmarks"]
    first = next(iter(benchmarks.values()), None)
    return {
        "seed": seed,
        "selection_seconds": selection_seconds,
        **{name: training[name] for name in ("rows", "tokens", "steps", "training_seconds", "padding_fraction")},
        "peak_memory_bytes": training["peak_memory_bytes"],
        "loss_history": training["loss_history"],
        "validation_loss": next(iter(losses.values()), None),
        "validation_losses": dict(losses),
        "pass_at_1": first["pass_at_1"] if first else None,
        "pass_at_1_interval": first["pass_at_1_interval"] if first else None,
        "n_problems": first["n_problems"] if first else 0,
        "benchmarks": dict(benchmarks),
    }


def arm_entry(arm: Arm, per_seed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One arm over all seeds.

    Args:
        arm: the arm.
        per_seed: its measures, one per seed.

    Returns:
        The entry of ``results.json``: means over the seeds; the interval is that of all seeds' problems together.
    """
    from hf_select.evaluation.pass_at_k import wilson

    means = {name: _mean([entry[name] for entry in per_seed]) for name in get_args(Measure)}
    n_problems = sum(entry["n_problems"] for entry in per_seed)
    interval = None
    if means["pass_at_1"] is not None:
        single = len(per_seed) == 1
        interval = (
            per_seed[0]["pass_at_1_interval"]
            if single
            else list(wilson(round(means["pass_at_1"] * n_problems), n_problems))
        )
    return {
        "name": arm.name,
        "method": arm.method,
        "budget": str(arm.budget) if arm.budget else None,
        "gated": arm.gated,
        **means,
        "pass_at_1_interval": interval,
        "n_problems": n_problems,
        "seeds": [entry["seed"] for entry in per_seed],
        "per_seed": [dict(entry) for entry in per_seed],
    }


def run_results(
    recipe: str, arguments: Arguments, arms: Sequence[Mapping[str, Any]], pool: Pool, gates: Mapping[str, int]
) -> dict[str, Any]:
    """The content of ``results.json``.

    Args:
        recipe: name of the recipe.
        arguments: the arguments of the run.
        arms: the entries of the arms.
        pool: the pool of the last seed; those of other seeds have the same name and size.
        gates: rows dropped by reason, over all seeds.

    Returns:
        The results as plain data.
    """
    benchmarks = [found for arm in arms for entry in arm["per_seed"] for found in entry["benchmarks"].values()]
    return {
        "recipe": recipe,
        "command": redact(shlex.join(["accelerate", "launch", *sys.argv])),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "config": arguments.settings(),
        "dataset": {"name": pool.name, "n_rows": len(pool.dataset), "columns": pool.dataset.column_names},
        "gates": dict(gates),
        "junk_fraction": pool.junk_fraction,
        "sandbox": next((found["sandbox"] for found in benchmarks if found.get("sandbox")), None),
        "sandbox_level": next((found["sandbox_level"] for found in benchmarks if found.get("sandbox_level")), None),
        "arms": [dict(arm) for arm in arms],
    }


def versions() -> dict[str, str]:
    """Versions of this library, Python and the packages that results depend on."""
    found = {"hf_select": __version__, "python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there; whole if they all are the same whole number."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if all(isinstance(value, int) and value == known[0] for value in known):
        return known[0]
    return float(np.mean(known))
