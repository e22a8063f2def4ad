"""Plots of the gates: rows that they dropped by reason, and the benchmark problems that the rows of an arm hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_select.errors import ConfigError
from hf_select.gates.problem_index import WIDTH
from hf_select.report.figure import ACCENT, DROPPED, KEPT, label, legend, name_rows, new_figure, save
from hf_select.report.result import Arm, spread_of
from hf_select.report.tables import benchmark_names

_CHECK = (
    f"A problem leaks where {WIDTH} words in a row of its text or solution, or the shape of its function, stand in a "
    "row of the arm; paraphrases are not found."
)


def plot_dropped(counts: Mapping[str, int], n_rows: int, path: Path) -> Path:
    """Draw how many rows the gates dropped, by reason, and how many passed.

    Args:
        counts: dropped rows by reason, in the order of the gates.
        n_rows: rows before the gates.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if nothing was dropped.
    """
    if not counts:
        raise ConfigError("The gates dropped nothing, so there is nothing to draw.")
    n_passed = n_rows - sum(counts.values())
    names, numbers = [*counts, "passed all gates"], [*counts.values(), n_passed]
    figure, (axes,) = new_figure("Rows that the gates dropped", height=1.7 + 0.38 * len(names))
    axes.barh(range(len(names)), numbers, height=0.6, color=[DROPPED] * len(counts) + [KEPT])
    _print_numbers(axes, numbers, [f"{number:,}" for number in numbers])
    name_rows(axes, names)
    label(axes, x="rows")
    caption = (
        f"n = {n_rows:,} rows, {n_passed:,} passed. A row counts for the first gate that refused it. No seed: gates "
        "draw nothing."
    )
    return save(figure, path, caption=caption, data={"dropped": dict(counts), "n_rows": n_rows, "n_passed": n_passed})


def leaks_of(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Problems that the rows of each arm hold, by benchmark.

    Args:
        arms: the arms.

    Returns:
        For every arm and benchmark that was looked for: ``arm``, ``benchmark``, and the means over the seeds
        ``n_leaked`` and ``n_problems``.
    """
    found = []
    for arm in arms:
        for name in benchmark_names([arm]):
            measured = [(record.get("benchmarks") or {}).get(name) or {} for record in arm.get("per_seed") or ()]
            leaked, left = (_mean(measured, key) for key in ("n_leaked_problems", "n_uncontaminated"))
            if leaked is not None and left is not None:
                told = {"arm": arm.get("name", "?"), "benchmark": name}
                found.append({**told, "n_leaked": leaked, "n_problems": leaked + left})
    return found


def plot_leakage(arms: Sequence[Arm], path: Path) -> Path:
    """Draw the share of each benchmark's problems that stand in the rows of each arm.

    Args:
        arms: the arms, first on top.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if leaks were not looked for.
    """
    found = leaks_of(arms)
    if not found:
        raise ConfigError("Leaks were looked for in no arm, so there is nothing to draw.")
    several = len({one["benchmark"] for one in found}) > 1
    names = [f"{one['arm']}, {one['benchmark']}" if several else str(one["arm"]) for one in found]
    percent = [100 * one["n_leaked"] / one["n_problems"] if one["n_problems"] else 0.0 for one in found]
    figure, (axes,) = new_figure("Benchmark problems that stand in the rows", height=1.7 + 0.38 * len(names))
    axes.barh(range(len(names)), percent, height=0.6, color=ACCENT, label="leaked")
    _print_numbers(axes, percent, [f"{one['n_leaked']:.4g} of {one['n_problems']:.4g}" for one in found])
    name_rows(axes, names)
    legend(axes)
    label(axes, x="share of the benchmark's problems (%)")
    told = sorted({f"{one['benchmark']} {one['n_problems']:.4g}" for one in found})
    seeds = sorted({seed for arm in arms for seed in arm.get("seeds") or ()})
    drawn = f" Mean over the seeds {', '.join(map(str, seeds))}." if seeds else ""
    return save(
        figure, path, caption=f"n = {', '.join(told)} problems.{drawn} {_CHECK}", data={"arms": found, "seeds": seeds}
    )


def _mean(measured: Sequence[Mapping[str, Any]], key: str) -> float | None:
    spread = spread_of(Arm(per_seed=[{"rows": measures.get(key)} for measures in measured]), "rows")
    return None if spread is None else spread.mean


def _print_numbers(axes: Any, lengths: Sequence[float], texts: Sequence[str]) -> None:
    """A number behind the end of each bar, with room for the longest."""
    for row, (length, text) in enumerate(zip(lengths, texts, strict=True)):
        axes.annotate(
            text, (length, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, color="#333333"
        )
    axes.set_xlim(0, 1.18 * max(*lengths, 1e-9))
