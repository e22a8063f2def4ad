"""Lengths of instruction data for code: log-normal, clipped to the longest row."""

import numpy as np
import numpy.typing as npt

# name -> (mean tokens, sigma of the logarithm), fitted to OSS-Instruct and Evol-Instruct by their users
DISTRIBUTIONS = {"OSS-like": (420, 0.5), "EVOL-like": (480, 0.8)}


def draw(name: str, n: int, max_length: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Lengths of ``n`` samples; ``mean`` is that of the distribution before clipping."""
    mean, sigma = DISTRIBUTIONS[name]
    return rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, n).astype(np.int64).clip(8, max_length)
