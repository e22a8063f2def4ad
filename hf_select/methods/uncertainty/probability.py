"""Class probabilities: how they are read, their entropy, and what several of them disagree about. In nats, float64."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from hf_select.methods.base import Scores
from hf_select.signals.keys import Floats


def class_probabilities(values: Floats) -> Scores:
    """Probabilities as every kernel here takes them.

    Args:
        values: ``(N, C)`` or ``(N, S, C)``; one class is a sigmoid head's ``p`` and becomes ``[1 - p, p]``.

    Returns:
        The same in float64, with at least two classes; a row with any value that is not finite is NaN as a whole, so
        that no sum or maximum over it is a number.
    """
    probabilities = np.asarray(values, dtype=np.float64)
    if probabilities.shape[-1] == 1:
        probabilities = np.concatenate([1.0 - probabilities, probabilities], axis=-1)
    finite = np.isfinite(probabilities).all(axis=tuple(range(1, probabilities.ndim)), keepdims=True)
    return np.where(finite, probabilities, np.nan)


def entropy(probabilities: Scores) -> Scores:
    """Entropy over the last axis, ``H = -sum_c p_c ln p_c`` with ``0 ln 0 = 0``.

    Args:
        probabilities: ``(..., C)``.

    Returns:
        ``(...)`` nats.
    """
    return np.asarray(np.einsum("...c->...", entr(probabilities)))  # sum() is slow where classes are few


def mutual_information(probabilities: Scores) -> Scores:
    """What the label of a row would tell about the sample that it comes from.

    ``I = H(mean_s p_s) - mean_s H(p_s)``, at least 0 and at most ``min(ln C, ln S)``

    Args:
        probabilities: ``(N, S, C)`` of ``S`` samples (dropout masks, checkpoints, sets of demonstrations).

    Returns:
        ``(N,)`` nats, exactly 0 where all samples agree; NaN where a probability is.
    """
    information = entropy(probabilities.mean(axis=1)) - entropy(probabilities).mean(axis=1)
    agreed = (probabilities == probabilities[:, :1]).all(axis=(1, 2))
    return np.where(agreed, 0.0, np.maximum(information, 0.0))
