"""The tables of a comparison: a measure of every method at every budget, its distance from random, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_select.report.grid_result import LOWER_IS_BETTER, NAMES, RANDOM, Grid
from hf_select.report.markup import Markdown, table
from hf_select.report.result import Spread
from hf_select.report.significance import Difference
from hf_select.report.tables import NOT_MEASURED, decimal, scaled, seconds

ALPHA = 0.05
DIGITS = {"validation_loss": 4}


def scores_table(grid: Grid, measure: str) -> Markdown:
    """One measure, methods by budgets.

    Args:
        grid: the comparison.
        measure: name of the measure.

    Returns:
        The table: mean ± standard deviation over seeds; ``↑`` better and ``↓`` worse than random after Holm's
        adjustment at 5 %.
    """
    marks = {budget: _marks(grid, budget, measure) for budget in grid.budgets}
    rows = [
        [method, *(_score(grid, method, budget, measure) + marks[budget].get(method, "") for budget in grid.budgets)]
        for method in grid.methods
    ]
    return table(["method", *grid.budgets], rows)


def differences_table(grid: Grid, measure: str) -> Markdown:
    """Every method less random, with p and adjusted p.

    Args:
        grid: the comparison.
        measure: name of the measure.

    Returns:
        The table: ``difference (p, adjusted p)`` of every method at every budget.
    """
    found = {budget: grid.differences(budget, measure) for budget in grid.budgets}
    digits = DIGITS.get(measure, 3)
    rows = [
        [method, *(_difference(found[budget].get(method), digits) for budget in grid.budgets)]
        for method in grid.methods
        if method != RANDOM
    ]
    return table([f"{NAMES[measure]} less random", *grid.budgets], rows)


def grid_cost_table(grid: Grid, budget: str) -> Markdown:
    """What every method cost at one budget, its selection beside its training.

    Args:
        grid: the comparison.
        budget: the budget as it is written.

    Returns:
        The table.
    """
    rows = []
    for method in grid.methods:
        selection = grid.spread(method, budget, "selection_seconds")
        training = grid.spread(method, budget, "training_seconds")
        rows.append([method, seconds(selection), seconds(training), _share(selection, training)])
    return table(["method", "selection (s)", "training (s)", "selection share (%)"], rows)


def reasons_table(reasons: Mapping[str, str]) -> Markdown:
    """Why methods are missing.

    Args:
        reasons: by method, or method and budget.

    Returns:
        The table.
    """
    return table(["method", "reason"], list(reasons.items()), numbers=False)


def budgets_table(rows: Sequence[tuple[str, int, int]]) -> Markdown:
    """What the budgets are in rows.

    Args:
        rows: each budget with its picks and the rows a cell trains on.

    Returns:
        The table.
    """
    return table(["budget", "picked rows", "rows trained on"], [[name, f"{n:,}", f"{m:,}"] for name, n, m in rows])


def _score(grid: Grid, method: str, budget: str, measure: str) -> str:
    return decimal(grid.spread(method, budget, measure), DIGITS.get(measure, 3))


def _marks(grid: Grid, budget: str, measure: str) -> dict[str, str]:
    """Arrows at the methods that differ from random."""
    marks = {}
    for method, (found, adjusted) in grid.differences(budget, measure).items():
        if adjusted is not None and adjusted < ALPHA:
            better = (found.mean < 0) == (measure in LOWER_IS_BETTER)
            marks[method] = " ↑" if better else " ↓"
    return marks


def _difference(found: tuple[Difference, float | None] | None, digits: int) -> str:
    if found is None:
        return NOT_MEASURED
    known, adjusted = found
    told = f"{known.mean:+.{digits}f}"
    return told if known.p_value is None else f"{told} ({known.p_value:.3f}, {adjusted:.3f})"


def _share(selection: Spread | None, training: Spread | None) -> str:
    if selection is None or training is None or selection.mean + training.mean == 0:
        return NOT_MEASURED
    return scaled(Spread(selection.mean / (selection.mean + training.mean), None, selection.n), 100)
