"""Vectors at length 1, whose inner products are cosines."""

from __future__ import annotations

import numpy as np

from hf_select.signals.keys import Floats


def unit(vectors: Floats) -> Floats:
    """Vectors at length 1 in float64; zero stays zero, which has cosine 0 with everything.

    Args:
        vectors: ``(N, D)``, finite.

    Returns:
        ``(N, D)``.
    """
    exact = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / np.where(length == 0.0, 1.0, length)
