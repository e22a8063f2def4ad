"""The start of k-means++ as a way to pick: points are drawn by their squared distance to the nearest pick.

Two facts make it cheap, and leave the law of the draws as it is:

* Points may be outer products, given by their factors. Distances need inner products alone, and those are the products
  of the factors' inner products: the outer products are never formed.
* A distance to the nearest pick only shrinks, so an old one is an upper bound of the present one. A point drawn by old
  distances and kept with probability ``present / old`` is drawn by present ones. So all points are brought up to date
  once for a block of picks, by one matrix product, instead of being read once per pick.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_select.methods.base import Scores
from hf_select.signals.keys import Floats, Indices

_TIE_ULPS = 16  # rounding errors of a squared distance, in units of the last place of the squared norms
_N_TRIES = 32  # draws between two updates of all points
_CHUNK_VALUES = 1 << 18


class Points:
    """Points of which only lengths and distances are asked: ``x_i = f_i (x) g_i (x) ...``, or plain vectors.

    Args:
        factors: one or more arrays ``(N, D_f)``; a point is the outer product of its rows in them.

    Attributes:
        squared_norms: ``(N,)`` squared length of every point.
    """

    def __init__(self, factors: Sequence[Floats]) -> None:
        self._factors: list[Floats] = [f if f.dtype == np.float32 else f.astype(np.float64) for f in factors]
        self._tie = _TIE_ULPS * max(float(np.finfo(factor.dtype).eps) for factor in self._factors)
        self.squared_norms: Scores = np.ones(len(self._factors[0]))
        for factor in self._factors:
            self.squared_norms *= np.einsum("ij,ij->i", factor, factor, dtype=np.float64)

    def longest(self) -> int:
        """Position of the longest point; lengths that rounding cannot tell apart are ties."""
        return int(np.argmax(self.squared_norms >= (1.0 - self._tie) * self.squared_norms.max()))

    def squared_distances(self, rows: Indices | slice, to: Indices) -> Scores:
        """Squared distances of some points to others.

        Args:
            rows: ``(M,)`` positions of the ones.
            to: ``(P,)`` positions of the others.

        Returns:
            ``(M, P)`` squared distances; what rounding cannot tell from 0 is 0.
        """
        norms = self.squared_norms[rows, None] + self.squared_norms[to]
        products = np.ones(norms.shape)
        for factor in self._factors:
            products *= factor[rows] @ factor[to].T
        squared = norms - 2.0 * products
        squared[squared <= self._tie * norms] = 0.0
        return squared

    def nearest(self, to: Indices) -> Scores:
        """Squared distance of every point to the nearest of some: ``(N,)``."""
        step = max(1, _CHUNK_VALUES // len(to))
        parts = [slice(start, start + step) for start in range(0, len(self.squared_norms), step)]
        return np.concatenate([self.squared_distances(part, to).min(axis=1) for part in parts])


def k_means_plus_plus(points: Points, k: int, rng: np.random.Generator) -> tuple[Indices, Scores]:
    """Pick ``k`` points: the longest first, then each with probability ``D_i^2 / sum_j D_j^2``.

    ``D_i`` is the distance of a point to its nearest pick. Where all points that are left lie on picks, the lowest
    position is next.

    Args:
        points: ``N`` points.
        k: how many to pick, at most ``N``.
        rng: draws; the first ``j`` picks for ``k`` are the picks for ``j``.

    Returns:
        ``(k,)`` positions in the order of picking, and ``(k,)`` the distance of each to its nearest earlier pick; the
        first has its length.

    Source:
        Arthur and Vassilvitskii 2007, with the first pick and the single trial of Ash et al. 2020.
    """
    first = points.longest()
    positions, squared = [first], [float(points.squared_norms[first])]
    bounds = np.full(len(points.squared_norms), np.inf)
    n_seen = 0
    while len(positions) < k:
        np.minimum(bounds, points.nearest(np.asarray(positions[n_seen:])), out=bounds)
        n_seen = len(positions)
        if bounds.any():
            drawn, at = _draw(points, bounds, k - n_seen, rng)
        else:
            drawn = np.setdiff1d(np.arange(len(bounds)), positions)[: k - n_seen].tolist()
            at = [0.0] * len(drawn)
        positions += drawn
        squared += at
    return np.asarray(positions), np.sqrt(squared)


def _draw(points: Points, bounds: Scores, n_most: int, rng: np.random.Generator) -> tuple[list[int], list[float]]:
    """Draw some points, each by its squared distance to the nearest pick or point drawn before it.

    Args:
        points: ``N`` points.
        bounds: ``(N,)`` squared distance to the nearest pick, which no drawn point has shrunk yet; not all 0.
        n_most: how many are wanted.
        rng: draws twice per try.

    Returns:
        Positions and squared distances of the points drawn.
    """
    drawn: list[int] = []
    squared: list[float] = []
    cumulative = np.cumsum(bounds)
    below = np.nextafter(cumulative[-1], 0.0)  # a draw that rounds up to the sum would lie beyond the last point
    for _ in range(_N_TRIES):
        place, keep = rng.random(2)
        here = int(np.searchsorted(cumulative, min(place * cumulative[-1], below), side="right"))
        distances = points.squared_distances(np.array([here]), np.array(drawn, dtype=np.int64))
        present = float(distances.min(initial=bounds[here]))
        if keep * bounds[here] < present:
            drawn.append(here)
            squared.append(present)
            if len(drawn) == n_most:
                break
    return drawn, squared
