"""A sketch of the gradient that a response has with respect to the output head.

The gradient is the sum over positions of ``delta_t h_t^T``: ``delta_t`` the predicted probabilities less the token that
is held true, ``h_t`` what the head is given. It has as many entries as the head; its sketch has ``N_DIMS``:

    R_1 (1/T sum_t delta_t h_t^T) R_2^T  =  1/T sum_t (R_1 delta_t) (R_2 h_t)^T

with signs ``+-1 / sqrt(rank)`` in ``R_1`` and ``R_2``. Over the draw of the signs the inner product of two sketches has
the inner product of the two gradients as its mean.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from hf_select.signals.keys import Floats
from hf_select.signals.predictions import Positions

RANK = 32
"""Rows of ``R_1`` and of ``R_2``."""

N_DIMS = RANK * RANK
"""Entries of a sketch."""

_ERROR_SEED, _STATE_SEED = 1, 2


@lru_cache(maxsize=4)
def signs(n: int, seed: int, device: torch.device) -> torch.Tensor:
    """A matrix of signs that is the same in every process and on every device.

    Args:
        n: rows; the first ones do not depend on how many follow.
        seed: another seed gives other signs.
        device: where the matrix goes.

    Returns:
        ``(n, RANK)`` float32, ``+-1 / sqrt(RANK)``.
    """
    drawn = np.random.PCG64(seed).random_raw(n)  # the raw stream is what numpy promises never to change
    bits = (drawn[:, None] >> np.arange(RANK, dtype=np.uint64)) & np.uint64(1)
    return torch.from_numpy((bits.astype(np.float32) * 2 - 1) / np.sqrt(np.float32(RANK))).to(device)


def sketched_factors(positions: Positions) -> torch.Tensor:
    """``R_1 delta_t`` and ``R_2 h_t`` of each position, with the model's own most likely token held true.

    Args:
        positions: ``c`` positions with their states.

    Returns:
        ``(c, 2 * RANK)`` float32, one beside the other.
    """
    assert positions.states is not None
    device = positions.log_probs.device
    of_tokens = signs(positions.log_probs.shape[1], _ERROR_SEED, device)
    of_states = signs(positions.states.shape[1], _STATE_SEED, positions.states.device)
    errors = positions.probabilities @ of_tokens - of_tokens[positions.top[1]]
    return torch.cat([errors, (positions.states.float() @ of_states).to(device)], dim=1)


def mean_outer_product(factors: Floats) -> Floats:
    """The sketch of one response from the factors of its positions.

    Args:
        factors: ``(T, 2 * RANK)``.

    Returns:
        ``(N_DIMS,)`` float32.
    """
    return (factors[:, :RANK].T @ factors[:, RANK:] / len(factors)).ravel().astype(np.float32)
