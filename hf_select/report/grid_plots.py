"""Plots of a comparison: the measure over the budgets, or at one budget, with random as a band.

Every function draws one picture and returns its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import ConfigError
from hf_select.report.figure import DROPPED, KEPT, LINES, SECOND, label, legend, name_rows, new_figure, save
from hf_select.report.grid_result import NAMES, RANDOM, Grid
from hf_select.report.result import Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES = ("-", "--", ":")  # with the colours enough for the methods of a family
_GREY = "#666666"


def plot_budget_curves(
    grid: Grid, measure: str, budget_rows: Mapping[str, float], families: Mapping[str, str], path: Path
) -> Path:
    """Draw a measure over the budgets: one panel per family of methods, random with its band in each.

    Args:
        grid: the comparison, of two or more budgets.
        measure: name of the measure.
        budget_rows: rows that a method picks at each budget.
        families: family of each method.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if there are fewer than two budgets, or no method has a value.
    """
    if len(grid.budgets) < 2:
        raise ConfigError("A curve needs two budgets or more; draw the one there is with plot_methods.")
    of_family: dict[str, list[str]] = {}
    for method in grid.methods:
        if method != RANDOM and any(grid.spread(method, budget, measure) for budget in grid.budgets):
            of_family.setdefault(families[method], []).append(method)
    if not of_family:
        raise ConfigError(f"No method beside random has a value for {measure!r}, so there is no curve to draw.")
    figure, panels = new_figure(f"{NAMES[measure]} over the budget", n_panels=len(of_family), height=4.6, shared_y=True)
    data = []
    for axes, (family, methods) in zip(panels, of_family.items(), strict=True):
        data.append(_draw_curve(axes, grid, RANDOM, measure, budget_rows, colour=_GREY, dash="-", band=True))
        for number, method in enumerate(methods):
            colour, dash = LINES[number % len(LINES)], _DASHES[number // len(LINES) % len(_DASHES)]
            data.append(_draw_curve(axes, grid, method, measure, budget_rows, colour=colour, dash=dash))
        if (full := grid.full(measure)) is not None:
            axes.axhline(full.mean, color="#000000", linestyle="--", linewidth=1, label="all rows")
        axes.set_xscale("log")
        axes.set_xticks([budget_rows[budget] for budget in grid.budgets], list(grid.budgets))
        axes.minorticks_off()
        axes.set_title(family, fontsize=9, loc="left")
        axes.legend(frameon=False, fontsize=6.5, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
        label(axes, x="rows picked, of the pool", y=NAMES[measure] if axes is panels[0] else "")
    caption = f"{_seeds(grid)}; band: random, ± standard deviation over seeds; dashed: all rows of the pool. Log scale."
    return save(figure, path, caption=caption, data={"measure": measure, "curves": data})


def plot_methods(grid: Grid, measure: str, budget: str, path: Path) -> Path:
    """Draw a measure of every method at one budget, with its seeds, and random as a band.

    Args:
        grid: the comparison.
        measure: name of the measure.
        budget: the budget as it is written.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if no method has a value.
    """
    shown = [method for method in grid.methods if grid.spread(method, budget, measure)]
    if not shown:
        raise ConfigError(f"No method has a value for {measure!r} at {budget}, so there is nothing to draw.")
    missing = [method for method in grid.methods if method not in shown]
    figure, (axes,) = new_figure(f"{NAMES[measure]} at a budget of {budget}", height=1.7 + 0.28 * len(shown))
    records = []
    for row, method in enumerate(shown):
        values = list(grid.values(method, budget, measure).values())
        mean = sum(values) / len(values)
        axes.plot(values, [row] * len(values), "o", color=SECOND, markersize=3.5)
        axes.plot([mean], [row], "o", color=_GREY if method == RANDOM else KEPT, markersize=7)
        records.append({"method": method, "mean": mean, "values": values})
    random = grid.spread(RANDOM, budget, measure)
    if random is not None:
        if random.sd is not None:
            axes.axvspan(random.mean - random.sd, random.mean + random.sd, color=DROPPED, alpha=0.4, lw=0)
        axes.axvline(random.mean, color=_GREY, linewidth=1, label=RANDOM)
    if (full := grid.full(measure)) is not None:
        axes.axvline(full.mean, color="#000000", linestyle="--", linewidth=1, label="all rows")
    axes.margins(x=0.08)
    name_rows(axes, shown)
    legend(axes)
    label(axes, x=NAMES[measure])
    several = "Large dots: mean; small dots: single seeds; band: random, ± standard deviation over seeds; "
    caption = f"{_seeds(grid)}. {several if grid.n_seeds > 1 else ''}dashed: all rows of the pool."
    caption += f" Not measured: {', '.join(missing)}." if missing else ""
    return save(figure, path, caption=caption, data={"measure": measure, "budget": budget, "methods": records})


def plot_grid_cost(grid: Grid, budget: str, path: Path) -> Path:
    """Draw what every method's selection costs at one budget, and the training of its cell behind it.

    Args:
        grid: the comparison.
        budget: the budget as it is written.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if no method has both.
    """
    costs = {
        method: (selection.mean, training.mean)
        for method in grid.methods
        if (selection := grid.spread(method, budget, "selection_seconds"))
        and (training := grid.spread(method, budget, "training_seconds"))
    }
    if not costs:
        raise ConfigError(f"No method has seconds of selection and training at {budget}, so there is nothing to draw.")
    figure, (axes,) = new_figure(f"What a selection costs, at a budget of {budget}", height=1.7 + 0.28 * len(costs))
    selection_seconds, training_seconds = ([cost[part] for cost in costs.values()] for part in (0, 1))
    axes.barh(range(len(costs)), selection_seconds, height=0.6, color=SECOND, label="selection")
    axes.barh(range(len(costs)), training_seconds, left=selection_seconds, height=0.6, color=KEPT, label="training")
    name_rows(axes, list(costs))
    legend(axes)
    label(axes, x="time (s)")
    caption = (
        f"{_seeds(grid)}. A selection is charged with all it would have needed alone: trainings before it (warm-up, "
        f"companion models), its passes, the picking."
    )
    records = [{"method": m, "selection_seconds": s, "training_seconds": t} for m, (s, t) in costs.items()]
    return save(figure, path, caption=caption, data={"budget": budget, "methods": records})


def _draw_curve(
    axes: Axes,
    grid: Grid,
    method: str,
    measure: str,
    budget_rows: Mapping[str, float],
    *,
    colour: str,
    dash: str,
    band: bool = False,
) -> dict[str, Any]:
    """One line; the record of what was drawn."""
    known: list[tuple[str, Spread]] = [
        (budget, spread) for budget in grid.budgets if (spread := grid.spread(method, budget, measure))
    ]
    rows, means = [budget_rows[budget] for budget, _ in known], [spread.mean for _, spread in known]
    axes.plot(rows, means, marker="o", markersize=3.5, linewidth=1.3, color=colour, linestyle=dash, label=method)
    low, high = _band(known)
    if band and known:
        axes.fill_between(rows, low, high, color=DROPPED, alpha=0.5, lw=0)
    return {"method": method, "rows": rows, "mean": means, "low": low, "high": high}


def _band(known: Sequence[tuple[str, Spread]]) -> tuple[list[float], list[float]]:
    low = [spread.mean - (spread.sd or 0.0) for _, spread in known]
    return low, [spread.mean + (spread.sd or 0.0) for _, spread in known]


def _seeds(grid: Grid) -> str:
    return "One seed" if grid.n_seeds == 1 else f"Mean over {grid.n_seeds} seeds"
