"""What the numbers of a comparison bear out, in plain words, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hf_select.report.comparison import resolvable_difference
from hf_select.report.grid_result import FULL, LOWER_IS_BETTER, NAMES, RANDOM, Grid
from hf_select.report.grid_tables import ALPHA, DIGITS
from hf_select.report.markup import Markdown, escape
from hf_select.report.significance import PERMUTATION, TOO_FEW, Difference
from hf_select.report.tables import decimal

_MAX_NAMES = 6


def grid_findings(grid: Grid) -> list[Markdown]:
    """Sentences on what the comparison shows.

    Args:
        grid: the comparison.

    Returns:
        One sentence for every measure and budget that was measured.
    """
    return [
        sentence
        for measure in grid.measures
        for budget in grid.budgets
        if (sentence := _against_random(grid, budget, measure)) is not None
    ]


def grid_caveats(grid: Grid, results: Mapping[str, Any]) -> list[str]:
    """Sentences on what the comparison does not show.

    Args:
        grid: the comparison.
        results: the content of ``results.json``.

    Returns:
        Those that apply to it.
    """
    n, n_methods = grid.n_seeds, len(grid.methods) - 1
    said = [_on_seeds(n)]
    if n_methods > 1 and n >= 3:
        said.append(
            f"{n_methods} methods are compared at every budget. Arrows are adjusted for that (Holm), single p values "
            "are not: one in twenty lies below 0.05 by chance."
        )
    if (told := _resolution(grid)) is not None:
        said.append(told)
    said.append(
        "Each seed draws its own split, labelled rows, warm-up, initial weights and order; the methods of one seed "
        "share all of these. One dataset, one model, one set of hyperparameters: others may rank the methods otherwise."
    )
    if "validation_loss" in grid.measures and not _measured(grid, "pass_at_1"):
        said.append(
            "pass@1 was not measured: model-written code runs only after the user's word (HF_ALLOW_CODE_EVAL=1 or "
            "--allow_code_eval)."
        )
    if short := _short(results):
        said.append(f"Fewer rows than asked for were eligible, and the cell trained on fewer: {short}.")
    return said


def _on_seeds(n: int) -> str:
    if n < 3:
        return (
            f"{n} seed{'s' if n > 1 else ''}: too few to tell a difference from the noise of splits and training, "
            "so nothing was tested. Three seeds allow Welch's t-test, six a permutation test."
        )
    if n < 6:
        return (
            f"{n} seeds: Welch's t-test, which takes values as normal and sees large differences only; {n} seeds "
            "cannot carry a permutation test (its smallest p would be above 0.05). Take six seeds or more before "
            "believing a small difference."
        )
    return f"{n} seeds: two-sided {PERMUTATION} over the seeds."


def _resolution(grid: Grid) -> str | None:
    """How far apart two accuracies must be for the test rows of one seed to tell."""
    random = [cell for cell in grid.cells if cell["method"] == RANDOM and cell.get("n_test")]
    if not random or "accuracy" not in grid.measures:
        return None
    n_test, accuracy = int(random[0]["n_test"]), float(random[0]["accuracy"])
    points = 100 * resolvable_difference(accuracy, n_test)
    return (
        f"The {n_test:,} test rows of one seed resolve differences of about {points:.1f} points of accuracy (95 %, two "
        f"independent draws); smaller ones need more rows or more seeds."
    )


def _against_random(grid: Grid, budget: str, measure: str) -> Markdown | None:
    """What differs from random at one budget, or what lies ahead where nothing was tested."""
    found = grid.differences(budget, measure)
    random = grid.spread(RANDOM, budget, measure)
    if not found or random is None:
        return None
    tested = next(iter(found.values()))[0].test
    head = (
        f"**{escape(NAMES[measure])} at {escape(budget)}** (random {escape(decimal(random, DIGITS.get(measure, 3)))}): "
    )
    sign = -1 if measure in LOWER_IS_BETTER else 1
    if tested == TOO_FEW:
        ahead = sum(sign * known.mean > 0 for known, _ in found.values())
        return Markdown(head + escape(f"{ahead} of {len(found)} methods lie ahead of random; not tested."))
    better = _names(found, lambda known: sign * known.mean > 0)
    worse = _names(found, lambda known: sign * known.mean < 0)
    if not better and not worse:
        return Markdown(head + escape(f"no method differs measurably from random ({tested}, Holm)."))
    parts = [f"better than random: {better}" if better else "", f"worse: {worse}" if worse else ""]
    return Markdown(head + escape("; ".join(filter(None, parts)) + f" ({tested}, Holm)."))


def _names(found: Mapping[str, tuple[Difference, float | None]], is_meant: Any) -> str:
    names = [m for m, (known, p) in found.items() if p is not None and p < ALPHA and is_meant(known)]
    return ", ".join(names)


def _measured(grid: Grid, measure: str) -> bool:
    return any(grid.values(cell["method"], cell["budget"], measure) for cell in grid.cells)


def _short(results: Mapping[str, Any]) -> str:
    """Cells that trained on fewer rows than the budget asked for."""
    found = [
        f"{cell['method']} at {cell['budget']}, seed {cell['seed']} ({cell['n_picked']} of {cell['n_asked']})"
        for cell in results["cells"]
        if not cell.get("error") and cell["method"] != FULL and cell["n_picked"] < cell["n_asked"]
    ]
    more = f" and {len(found) - _MAX_NAMES} more" if len(found) > _MAX_NAMES else ""
    return ", ".join(found[:_MAX_NAMES]) + more
