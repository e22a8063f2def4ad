"""Whether a method differs from random over a few seeds: the test that the number of seeds allows, and what it says."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_MIN_SEEDS = 3  # below there is no spread to speak of
_MIN_SEEDS_TO_PERMUTE = 6  # 2 / 2**6 = 0.03 is the first smallest p below 0.05
_MAX_SEEDS_TO_ENUMERATE = 16
_N_DRAWS = 100_000

PERMUTATION, WELCH, TOO_FEW = "paired permutation test", "Welch's t-test", "too few seeds to test"


@dataclass(frozen=True)
class Difference:
    """The difference of one measure between a method and random at one budget.

    Attributes:
        mean: of the method less that of random, over the seeds that both have.
        p_value: two-sided; ``None`` where there are too few seeds.
        test: what was tested, in words.
        n_seeds: seeds that both have.
    """

    mean: float
    p_value: float | None
    test: str
    n_seeds: int


def difference(method: Mapping[int, float], random: Mapping[int, float]) -> Difference | None:
    """Compare a method with random, seed by seed.

    From 6 seeds on all signs of the differences are permuted (exact up to 16 seeds, 100,000 draws above). With 3 to 5
    seeds no permutation can reach p < 0.05 (2 / 2**5 = 0.06), so both sets of values are taken as normal and of
    different variances. With fewer nothing is tested.

    Args:
        method: value of the measure by seed.
        random: the same of random.

    Returns:
        The difference; ``None`` if they have no seed in common.

    Source:
        Fisher, "The Design of Experiments", 1935 (permutation); Welch, "The generalization of Student's problem",
        Biometrika 34, 1947.
    """
    seeds = sorted(set(method) & set(random))
    if not seeds:
        return None
    first, second = [method[seed] for seed in seeds], [random[seed] for seed in seeds]
    mean = statistics.fmean(first) - statistics.fmean(second)
    if len(seeds) < _MIN_SEEDS:
        return Difference(mean, None, TOO_FEW, len(seeds))
    if len(seeds) < _MIN_SEEDS_TO_PERMUTE:
        return Difference(mean, _welch(first, second), WELCH, len(seeds))
    return Difference(mean, sign_flip_p(np.subtract(first, second)), PERMUTATION, len(seeds))


def sign_flip_p(differences: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Two-sided p of paired differences under permutation of their signs.

    ``share of sign vectors s with |mean(s d)| >= |mean(d)|``

    Args:
        differences: ``(n,)`` differences.

    Returns:
        The share, at least ``2 / 2**n``.
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    if n <= _MAX_SEEDS_TO_ENUMERATE:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=n)))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(_N_DRAWS, n))
        signs[0] = 1.0  # the observed signs are one of the permutations
    reached = np.abs(signs @ values) >= abs(values.sum()) - 1e-12
    return float(np.mean(reached))


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """P values adjusted for their number, so that one false alarm among all of them is as likely as a p says.

    Args:
        p_values: by name; ``None`` is not counted.

    Returns:
        The adjusted values, never below the given ones.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    known = sorted((p, name) for name, p in p_values.items() if p is not None)
    adjusted: dict[str, float | None] = dict.fromkeys(p_values)
    largest = 0.0
    for place, (p, name) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - place)))
        adjusted[name] = largest
    return adjusted


def _welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p; 1 where all values are alike, 0 where only the means differ."""
    if statistics.pstdev(first) == 0 and statistics.pstdev(second) == 0:
        return 1.0 if first[0] == second[0] else 0.0
    from scipy.stats import ttest_ind

    return float(ttest_ind(first, second, equal_var=False).pvalue)
