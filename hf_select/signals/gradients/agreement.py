"""How far two scores of the same rows agree: in their order, at the top, and in scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Scores = NDArray[np.float64]

_RESAMPLES = 1000
_LOW, _HIGH = 2.5, 97.5


@dataclass(frozen=True)
class Agreement:
    """How far an engine agrees with the oracle.

    Attributes:
        engine: the engine.
        spearman: rank correlation of the mean over the tasks.
        interval: its 95 % interval, by bootstrap over the rows.
        by_task: rank correlation of each task.
        top_half: share of the oracle's better half of the rows that is in the engine's.
        top_tenth: the same of the best tenth.
        slope: of the oracle over the engine; 1 where the engine's numbers are right, not their order alone.
        seconds: time of the engine, for all rows.
    """

    engine: str
    spearman: float
    interval: tuple[float, float]
    by_task: dict[str, float]
    top_half: float
    top_tenth: float
    slope: float
    seconds: float


def rank_correlation(one: Scores, other: Scores) -> float:
    """Spearman's rank correlation.

    Args:
        one: ``(N,)`` scores.
        other: ``(N,)`` scores of the same rows.

    Returns:
        -1..1; NaN where one of them tells no rows apart.
    """
    return float(_rank_correlations(one[None], other[None])[0])


def bootstrap_interval(one: Scores, other: Scores, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the rank correlation, by drawing rows with replacement 1,000 times.

    Args:
        one: ``(N,)`` scores.
        other: ``(N,)`` scores of the same rows.
        rng: draws the rows.

    Returns:
        Lower and upper end.
    """
    drawn = rng.integers(0, len(one), size=(_RESAMPLES, len(one)))
    low, high = np.nanpercentile(_rank_correlations(one[drawn], other[drawn]), [_LOW, _HIGH])
    return float(low), float(high)


def top_overlap(one: Scores, other: Scores, fraction: float) -> float:
    """Share of the best rows of one that are among the best rows of the other; ties go to the lower row id.

    Args:
        one: ``(N,)`` scores.
        other: ``(N,)`` scores of the same rows.
        fraction: how many rows are the best, in (0, 1].

    Returns:
        0..1.
    """
    n_best = max(1, int(len(one) * fraction))
    best = [set(np.argsort(-scores, kind="stable")[:n_best].tolist()) for scores in (one, other)]
    return len(best[0] & best[1]) / n_best


def slope(oracle: Scores, engine: Scores) -> float:
    """Slope of the oracle over the engine, by least squares.

    Args:
        oracle: ``(N,)``.
        engine: ``(N,)``.

    Returns:
        The slope; NaN where the engine tells no rows apart.
    """
    distances = engine - engine.mean()
    squared = float(distances @ distances)
    return float(distances @ oracle) / squared if squared else float("nan")


def _rank_correlations(one: Scores, other: Scores) -> Scores:
    """``(B,)`` rank correlations of ``(B, N)`` scores."""
    left, right = (rankdata(scores, axis=1) for scores in (one, other))
    left, right = left - left.mean(1, keepdims=True), right - right.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        found: Scores = (left * right).sum(1) / np.sqrt((left**2).sum(1) * (right**2).sum(1))
    return found
