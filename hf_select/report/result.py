"""What a recipe measured: the form of ``results.json`` and how one number is read from it.

Any value may be absent or ``None``: it was not measured. Several seeds stand in ``per_seed``; with one seed the values
of the arm itself are read.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

Measure = Literal[
    "rows",
    "tokens",
    "steps",
    "selection_seconds",
    "training_seconds",
    "padding_fraction",
    "peak_memory_bytes",
    "validation_loss",
    "pass_at_1",
]


class Arm(TypedDict, total=False):
    """One way to choose the rows, with what training on them gave.

    ``pass_at_1_interval`` is the 95 % interval of ``pass_at_1`` over ``n_problems`` problems, those of all seeds
    together. A record of ``per_seed`` holds the same measures of one seed, and under ``benchmarks`` the ``pass_at_1``,
    ``interval`` and ``n_problems`` of every benchmark.
    """

    name: str
    method: str | None
    budget: Any
    gated: bool
    rows: int | None
    tokens: int | None
    steps: int | None
    selection_seconds: float | None
    training_seconds: float | None
    padding_fraction: float | None
    peak_memory_bytes: int | None
    validation_loss: float | None
    pass_at_1: float | None
    pass_at_1_interval: Sequence[float] | None
    n_problems: int | None
    seeds: Sequence[int]
    per_seed: Sequence[Mapping[str, Any]]


class Results(TypedDict, total=False):
    """Everything a recipe writes to ``results.json``."""

    recipe: str
    command: str
    created: str
    versions: Mapping[str, str]
    config: Mapping[str, Any]
    dataset: Mapping[str, Any]
    gates: Mapping[str, int]
    gates_not_checked: Mapping[str, int]
    leakage: Mapping[str, Any]
    junk_fraction: float | None
    sandbox: Mapping[str, Any] | None
    sandbox_level: str | None
    arms: Sequence[Arm]


@dataclass(frozen=True)
class Spread:
    """One measure of one arm over its seeds.

    Attributes:
        mean: the mean; the value itself with one seed.
        sd: sample standard deviation; ``None`` with one seed.
        n: number of seeds that have a value.
    """

    mean: float
    sd: float | None
    n: int


def sandbox_facts(results: Mapping[str, Any]) -> dict[str, str]:
    """How model-written programs were contained, for the table of a report.

    Args:
        results: the content of ``results.json``.

    Returns:
        Fact -> value.
    """
    sandbox: Mapping[str, Any] | None = results.get("sandbox")
    if sandbox is None:
        return {"sandbox level": str(results.get("sandbox_level") or "nothing was executed")}
    reasons = "; ".join(f"{level}: {reason}" for level, reason in sandbox["why_not_stronger"].items())
    landlock = f" (Landlock {version})" if (version := sandbox["landlock_version"]) else ""
    layers = ", ".join(sandbox["layers"])
    facts = {"sandbox level": f"{sandbox['level']}: {layers}{landlock}", "run by user": str(sandbox["user"])}
    return facts | ({"why no stronger level": reasons} if reasons else {})


def gates_of(results: Mapping[str, Any]) -> str:
    """Names of the gates that all rows of a run went through, as they were asked for; empty where none was."""
    config = results.get("config") or {}
    return "" if config.get("no_gates") else str(config.get("gates") or "")


def values_of(arm: Arm, measure: Measure) -> tuple[float, ...]:
    """The measured values of an arm, one per seed.

    Args:
        arm: the arm.
        measure: the name of the measure.

    Returns:
        The finite values in the order of the seeds; empty if it was not measured.
    """
    found = [record.get(measure) for record in arm.get("per_seed") or ()]
    if not any(_is_number(value) for value in found):
        found = [arm.get(measure)]
    return tuple(float(value) for value in found if _is_number(value))  # type: ignore[arg-type]  # checked


def spread_of(arm: Arm, measure: Measure) -> Spread | None:
    """Mean and standard deviation of a measure over the seeds of an arm; ``None`` if it was not measured."""
    values = values_of(arm, measure)
    if not values:
        return None
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def interval_of(arm: Arm) -> tuple[float, float] | None:
    """The 95 % interval of ``pass_at_1`` as the recipe wrote it; ``None`` if there is none."""
    bounds = arm.get("pass_at_1_interval")
    if bounds is None or len(bounds) != 2 or not all(_is_number(bound) for bound in bounds):
        return None
    return float(bounds[0]), float(bounds[1])


def problems_of(arm: Arm) -> int:
    """Number of problems behind ``pass_at_1``, those of all seeds together; 0 if it is not known."""
    by_seed = [record.get("n_problems") for record in arm.get("per_seed") or () if _is_number(record.get("pass_at_1"))]
    known = [n for n in by_seed if isinstance(n, int)]
    return sum(known) if known else int(arm.get("n_problems") or 0)


def n_seeds(arm: Arm) -> int:
    """Number of seeds of an arm, at least 1."""
    return max(len(arm.get("seeds") or ()), len(arm.get("per_seed") or ()), 1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
