"""Whether one arm is better than another, as far as the numbers can tell."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hf_select.report.result import Arm, problems_of, values_of

_NORMAL_95 = 1.959963984540054
_MIN_SEEDS_FOR_SPREAD = 3


@dataclass(frozen=True)
class Comparison:
    """The difference of pass@1 between two arms with its 95 % interval.

    Attributes:
        arm: name of the first arm.
        baseline: name of the arm it is compared with.
        difference: first minus second, a share.
        low: lower end of the interval.
        high: upper end of the interval.
        basis: what the interval covers, in words.
    """

    arm: str
    baseline: str
    difference: float
    low: float
    high: float
    basis: str

    @property
    def outcome(self) -> Literal["better", "worse", "undecided"]:
        """``undecided`` as long as the interval holds zero."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "undecided"


def compare(arm: Arm, baseline: Arm) -> Comparison | None:
    """Compare the pass@1 of two arms.

    With three or more seeds in common the differences per seed give a t interval, which covers training and problems.
    With fewer, both pass rates are taken as independent shares of their problems (Agresti and Caffo's interval), which
    covers the draw of problems only: on the same problems it is wider than need be, but it knows nothing of training
    noise.

    Args:
        arm: the arm in question.
        baseline: what to compare it with.

    Returns:
        The comparison; ``None`` if a pass@1 or the number of problems is not known.

    Source:
        Agresti and Caffo, "Simple and effective confidence intervals for proportions and differences of proportions
        result from adding two successes and two failures", The American Statistician 54(4), 2000.
    """
    first, second = values_of(arm, "pass_at_1"), values_of(baseline, "pass_at_1")
    if not first or not second:
        return None
    names = arm.get("name", "?"), baseline.get("name", "?")
    difference = statistics.fmean(first) - statistics.fmean(second)
    same_seeds = list(arm.get("seeds") or ()) == list(baseline.get("seeds") or ())
    if len(first) == len(second) >= _MIN_SEEDS_FOR_SPREAD and same_seeds:
        half = _t_half_width([a - b for a, b in zip(first, second, strict=True)])
        return Comparison(*names, difference, difference - half, difference + half, f"over {len(first)} seeds")
    n_first, n_second = problems_of(arm), problems_of(baseline)
    if not n_first or not n_second:
        return None
    low, high = _agresti_caffo(statistics.fmean(first), n_first, statistics.fmean(second), n_second)
    basis = f"draw of {n_first} problems only, {len(first)} seed{'s' if len(first) > 1 else ''}"
    return Comparison(*names, difference, low, high, basis)


def partners(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Arms that use a method, each with the random arm of the same budget and the same gates.

    Args:
        arms: all arms.

    Returns:
        Pairs of arm and random arm; an arm without such a partner is not in the list.
    """
    randoms = {(str(arm.get("budget")), bool(arm.get("gated"))): arm for arm in arms if is_random(arm)}
    pairs = []
    for arm in arms:
        partner = randoms.get((str(arm.get("budget")), bool(arm.get("gated"))))
        if partner is not None and arm.get("method") and not is_random(arm) and not is_full(arm):
            pairs.append((arm, partner))
    return pairs


def is_random(arm: Arm) -> bool:
    """Whether the arm picked its rows at random."""
    return arm.get("method") == "random"


def is_full(arm: Arm) -> bool:
    """Whether the arm took every row it could."""
    return arm.get("method") in (None, "", "all", "full", "none")


def resolvable_difference(pass_rate: float, n_problems: int) -> float:
    """Smallest difference of pass@1 that two runs on ``n_problems`` problems can tell from none.

    ``1.96 * sqrt(2 p (1 - p) / n)``

    Args:
        pass_rate: where the arms lie, a share.
        n_problems: problems of each run.

    Returns:
        The difference, a share.
    """
    return _NORMAL_95 * math.sqrt(2 * pass_rate * (1 - pass_rate) / n_problems)


def _agresti_caffo(p_first: float, n_first: int, p_second: float, n_second: int) -> tuple[float, float]:
    rates = [(p * n + 1) / (n + 2) for p, n in ((p_first, n_first), (p_second, n_second))]
    variance = sum(p * (1 - p) / (n + 2) for p, n in zip(rates, (n_first, n_second), strict=True))
    centre, half = rates[0] - rates[1], _NORMAL_95 * math.sqrt(variance)
    return max(-1.0, centre - half), min(1.0, centre + half)


def _t_half_width(differences: Sequence[float]) -> float:
    from scipy.stats import t

    quantile = float(t.ppf(0.975, len(differences) - 1))
    return quantile * statistics.stdev(differences) / math.sqrt(len(differences))
