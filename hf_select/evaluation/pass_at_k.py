r"""pass@k: the chance that at least one of k samples solves a problem, estimated without bias, with its interval.

    pass@k = mean over problems of  1 - C(n - c, k) / C(n, k)        n samples, c of them pass

Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hf_select.errors import ConfigError

N_RESAMPLES = 10_000


class Estimate(NamedTuple):
    """A mean with its interval.

    Attributes:
        value: the estimate, in 0..1.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


def pass_at_k_of_each(n_samples: Sequence[int], n_passed: Sequence[int], k: int) -> npt.NDArray[np.float64]:
    """pass@k of every problem.

    Args:
        n_samples: (P,) samples drawn for each problem.
        n_passed: (P,) how many of them pass.
        k: samples one may try.

    Returns:
        (P,) the unbiased estimates.

    Raises:
        ConfigError: if a problem has fewer than k samples, or more passes than samples.

    Example:
        >>> [round(value, 4) for value in pass_at_k_of_each([5, 5], [1, 4], k=2).tolist()]
        [0.4, 1.0]
    """
    samples, passed = np.asarray(n_samples, dtype=np.int64), np.asarray(n_passed, dtype=np.int64)
    if samples.shape != passed.shape or np.any(passed < 0) or np.any(passed > samples):
        raise ConfigError("Every problem needs a number of passes between 0 and its number of samples.")
    if k < 1 or np.any(samples < k):
        fewest = int(samples.min()) if samples.size else 0
        raise ConfigError(f"pass@{k} needs at least {max(k, 1)} samples of every problem; one has {fewest}.")
    failed = samples - passed
    chance_of_none = np.ones(samples.shape, dtype=np.float64)
    for drawn in range(k):  # C(n - c, k) / C(n, k), factor by factor: no large binomials
        chance_of_none *= np.maximum(failed - drawn, 0) / (samples - drawn)
    return np.asarray(1.0 - chance_of_none)


def pass_at_k(
    n_samples: Sequence[int], n_passed: Sequence[int], k: int, *, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """pass@k over a benchmark, with a confidence interval.

    Where every problem has one sample, Wilson's interval for a share; otherwise the percentile bootstrap over problems.

    Args:
        n_samples: (P,) samples drawn for each problem.
        n_passed: (P,) how many of them pass.
        k: samples one may try.
        confidence: coverage of the interval, in (0, 1).
        seed: of the bootstrap.

    Returns:
        The estimate.

    Raises:
        ConfigError: if there is no problem.
    """
    values = pass_at_k_of_each(n_samples, n_passed, k)
    if values.size == 0:
        raise ConfigError(f"pass@{k} of no problem is undefined; give at least one.")
    if max(n_samples) == 1:
        return Estimate(float(values.mean()), *wilson(int(values.sum()), values.size, confidence))
    rng = np.random.default_rng(seed)
    # Resampling P problems with replacement is drawing how often each one comes.
    times = rng.multinomial(values.size, np.full(values.size, 1 / values.size), size=N_RESAMPLES)
    means = times @ values / values.size
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def wilson(n_passed: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share.

    Args:
        n_passed: successes.
        n: trials, at least 1.
        confidence: coverage, in (0, 1).

    Returns:
        Lower and upper end, in 0..1.
    """
    from scipy.stats import binomtest

    interval = binomtest(n_passed, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
