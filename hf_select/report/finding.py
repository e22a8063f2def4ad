"""What the numbers of a run bear out, in plain words, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from hf_select.report.comparison import Comparison, compare, is_full, is_random, partners, resolvable_difference
from hf_select.report.markup import Markdown, escape
from hf_select.report.result import Arm, Results, n_seeds, problems_of, spread_of, values_of
from hf_select.report.tables import count, decimal, seconds, total_seconds

NOT_EXECUTED = (
    "pass@1 was not measured: model-written code runs only after the user's word (HF_ALLOW_CODE_EVAL=1 or "
    "--allow_code_eval)."
)
NOTHING_SOLVED = (
    "No arm solved a problem, so pass@1 separates nothing here: the model is too small, or trained too little, for "
    "these benchmarks. The loss on their reference solutions is what is left to compare."
)
_VERDICTS = {
    "better": "is better than",
    "worse": "is worse than",
    "undecided": "does not differ measurably from",
}


def findings(results: Results) -> list[Markdown]:
    """Sentences on what the run shows.

    Args:
        results: the results of a recipe.

    Returns:
        One sentence for every method against random, for the gates, for every subset against all rows, and one on how
        much the run can tell apart.
    """
    arms = results.get("arms") or ()
    if _nothing_solved(arms):
        return [Markdown(NOTHING_SOLVED), *(_loss_against(arm, random) for arm, random in partners(arms))]
    return [
        *(_against_random(arm, random) for arm, random in partners(arms)),
        *_gates_alone(arms),
        *_against_all_rows(arms),
        *_resolution(arms),
    ]


def caveats(results: Results) -> list[str]:
    """Sentences on what the run does not show.

    Args:
        results: the results of a recipe.

    Returns:
        Those that apply to it.
    """
    arms = results.get("arms") or ()
    said = []
    if arms and max(map(n_seeds, arms)) < 3:
        n = max(map(n_seeds, arms))
        said.append(
            f"{n} seed{'s' if n > 1 else ''}: intervals cover the draw of the problems, not the noise of training. "
            "Three or more seeds give intervals that cover both."
        )
    steps = [values[0] for arm in arms if (values := values_of(arm, "steps"))]
    if len(set(steps)) > 1:
        said.append(
            f"The arms took between {min(steps):,.0f} and {max(steps):,.0f} optimiser steps: fewer rows at equal "
            "epochs are fewer steps, and no arm separates the two. A control with equal steps would."
        )
    said += _short_budgets(arms)
    junk = results.get("junk_fraction")
    if junk is not None:
        said.append(
            f"The pool was built with {100 * junk:.0f} % junk (wrong, duplicate and trivial rows). Whether a subset "
            "beats all rows is a property of that share: with less junk the full set can stay ahead. Its tests come "
            "from the reference solutions, so a gate that runs them is an oracle."
        )
    if len(partners(arms)) > 2:
        said.append(f"{len(partners(arms))} methods are compared at 95 % each; one in twenty differs by chance.")
    if not any(values_of(arm, "pass_at_1") for arm in arms):
        said.append(NOT_EXECUTED)
    return said


def _nothing_solved(arms: Sequence[Arm]) -> bool:
    """Whether pass@1 was measured and is 0 everywhere."""
    rates = [rate for arm in arms for rate in values_of(arm, "pass_at_1")]
    return bool(rates) and not any(rates)


def _loss_against(arm: Arm, random: Arm) -> Markdown:
    """A method against random at the same budget, by validation loss."""
    names = escape(arm.get("name", "?")), escape(random.get("name", "?"))
    first, second = spread_of(arm, "validation_loss"), spread_of(random, "validation_loss")
    if first is None or second is None:
        return Markdown(f"**{names[0]}** against {names[1]}: validation loss was not measured either.")
    word = "lower" if first.mean < second.mean else "higher"
    return Markdown(
        f"**{names[0]}** ends at a validation loss of {decimal(first, 4)}, {word} than {decimal(second, 4)} of "
        f"{names[1]} by {abs(first.mean - second.mean):.4f}. The difference has no interval and does not decide."
    )


def _against_random(arm: Arm, random: Arm) -> Markdown:
    """A method against random at the same budget, gates alike."""
    names = escape(arm.get("name", "?")), escape(random.get("name", "?"))
    comparison = compare(arm, random)
    if comparison is None:
        return Markdown(f"**{names[0]}** against random at the same budget: not decided, {_losses(arm, random)}")
    text = (
        f"**{names[0]}** {_VERDICTS[comparison.outcome]} random at the same budget ({names[1]}): {_points(comparison)}."
    )
    if comparison.outcome == "undecided":
        text += " This run does not show that the method helps, nor that it hurts."
    spent, spent_random = total_seconds(arm), total_seconds(random)
    if spent is not None and spent_random is not None:
        text += f" Selection and training took {seconds(spent)} s against {seconds(spent_random)} s."
    return Markdown(text)


def _gates_alone(arms: Sequence[Arm]) -> list[Markdown]:
    """Random rows after the gates against random rows without: what the gates do by themselves."""
    plain = {str(arm.get("budget")): arm for arm in arms if is_random(arm) and not arm.get("gated")}
    said = []
    for arm in arms:
        without = plain.get(str(arm.get("budget")))
        if is_random(arm) and arm.get("gated") and without is not None and (found := compare(arm, without)):
            said.append(
                Markdown(
                    f"The gates alone: **{escape(found.arm)}** {_VERDICTS[found.outcome]} {escape(found.baseline)}: "
                    f"{_points(found)}. This part of any gain is the gates', not a method's."
                )
            )
    return said


def _against_all_rows(arms: Sequence[Arm]) -> list[Markdown]:
    """Every subset against the arm that trained on all rows."""
    full = next((arm for arm in arms if is_full(arm) and not arm.get("gated")), None)
    if full is None:
        return []
    said = []
    for arm in arms:
        comparison = compare(arm, full) if arm is not full else None
        if comparison is None:
            continue
        said.append(
            Markdown(
                f"**{escape(comparison.arm)}** ({_share(arm, full, 'rows')}, {_share(arm, full, 'steps')}) "
                f"{_VERDICTS[comparison.outcome]} all rows ({escape(comparison.baseline)}): {_points(comparison)}."
            )
        )
    return said


def _resolution(arms: Sequence[Arm]) -> list[Markdown]:
    """How far apart two arms must be for one seed to tell."""
    known = [(spread.mean, arm) for arm in arms if (spread := spread_of(arm, "pass_at_1")) and problems_of(arm)]
    if not known:
        return [Markdown(escape(NOT_EXECUTED))] if arms else []
    n = round(problems_of(known[0][1]) / n_seeds(known[0][1]))
    points = sorted(f"{100 * resolvable_difference(mean, n):4.0f}" for mean, _ in known)
    told = " to ".join(dict.fromkeys([points[0].strip(), points[-1].strip()]))
    return [
        Markdown(
            f"One seed on {n} problems resolves differences of about {told} points of pass@1 (95 %, at the pass rates "
            "of these arms); smaller ones are not decidable from one seed."
        )
    ]


def _short_budgets(arms: Sequence[Arm]) -> list[str]:
    """Arms of one budget that trained on different numbers of rows."""
    by_budget: dict[str, dict[str, float]] = {}
    for arm in arms:
        rows = spread_of(arm, "rows")
        if rows is not None and not is_full(arm):
            by_budget.setdefault(str(arm.get("budget")), {})[str(arm.get("name", "?"))] = rows.mean
    return [
        f"At budget {budget} the arms differ in rows: {_listed(rows)}. A method short of eligible rows takes fewer."
        for budget, rows in by_budget.items()
        if len(set(rows.values())) > 1
    ]


def _listed(rows: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {n:,.0f}" for name, n in rows.items())


def _points(comparison: Comparison) -> str:
    difference, low, high = (100 * value for value in (comparison.difference, comparison.low, comparison.high))
    return f"{difference:+.1f} points of pass@1 (95 % interval {low:+.1f} to {high:+.1f}; {comparison.basis})"


def _share(arm: Arm, full: Arm, measure: Literal["rows", "steps"]) -> str:
    part, whole = spread_of(arm, measure), spread_of(full, measure)
    if part is None or whole is None or not whole.mean:
        return f"{measure} not known"
    return f"{100 * part.mean / whole.mean:.0f} % of the {measure}, {count(part)}"


def _losses(arm: Arm, random: Arm) -> str:
    first, second = spread_of(arm, "validation_loss"), spread_of(random, "validation_loss")
    if first is None or second is None:
        return "because pass@1 was not measured."
    return (
        f"because pass@1 was not measured. Validation loss {decimal(first, 4)} against {decimal(second, 4)}; it has no "
        "interval here and does not decide."
    )
