"""Exact k-center greedy at the speed of matrix products.

The plain greedy algorithm reads all points once per pick, which is bound by memory. Two facts allow to work in blocks:

* the distance of a point to its nearest centre only shrinks, so an old distance is an upper bound of the present one;
* a point whose bound lies below the distance of the farthest point cannot be the next pick.

So the points with the largest bounds form a block. Their distances are brought up to date with one matrix product over
all centres they have not seen, and picks are made inside the block, which stays in the cache, for as long as no bound
outside can reach them. Every round either picks or brings at least one point up to date.
"""

from __future__ import annotations

import numpy as np

from hf_select.methods.base import Scores
from hf_select.signals.keys import Floats, Indices

_BLOCK_BYTES = 3 << 19  # coordinates of one block: they are read once per pick and should stay in the L2 cache
_PRODUCT_VALUES = 1 << 23  # most values of one distance matrix
_TIE_ULPS = 8  # rounding errors of a squared distance, in units of the last place of the largest one


def k_center(
    vectors: Floats, k: int, *, centres: Floats | None = None, first: int | None = None
) -> tuple[Indices, Scores]:
    """Pick ``k`` points, each the farthest from all centres so far: ``argmax_i min_c ||x_i - c||``.

    Distances whose squares differ by no more than rounding (8 units in the last place of the largest squared norm)
    are ties and go to the lower position; squared distances within that of zero count as zero.

    Args:
        vectors: ``(N, D)`` points, float32 or float64 (others are read as float64).
        k: how many to pick, at most ``N``.
        centres: ``(L, D)`` centres to start from; ``None`` or no rows for none.
        first: position of the first pick where there are no centres; ``None`` for the point farthest from the mean.

    Returns:
        ``(k,)`` positions in the order of picking, and ``(k,)`` the distance of each to its nearest centre when it was
        picked, which never grows. A first pick without centres has the distance of the point farthest from it.

    Source:
        Gonzalez 1985: the largest distance that is left is at most twice the best possible.
    """
    cover = _Cover(vectors, centres, k)
    positions = np.empty(k, dtype=np.int64)
    squared = np.zeros(k, dtype=np.float64)
    n_picked = 0
    if cover.n_centres == 0:
        positions[0] = cover.farthest_from_mean() if first is None else first
        cover.add(positions[:1])
        squared[0] = max(0.0, float(cover.bounds.max()))
        n_picked = 1
    while n_picked < k:
        block, floor = cover.block()
        picked, at = cover.pick_inside(block, floor, k - n_picked)
        stop = n_picked + len(picked)
        positions[n_picked:stop], squared[n_picked:stop] = picked, at
        n_picked = stop
    return positions, np.sqrt(np.minimum.accumulate(squared))


class _Cover:
    """Points, centres, and for each point an upper bound of its squared distance to the nearest centre.

    Args:
        vectors: ``(N, D)`` points.
        centres: ``(L, D)`` centres that are there from the start, or ``None``.
        k: how many centres will be added.

    Attributes:
        bounds: ``(N,)`` squared distance to the nearest of the centres seen; -inf for picked points.
        n_centres: how many centres there are.
    """

    def __init__(self, vectors: Floats, centres: Floats | None, k: int) -> None:
        dtype = np.float32 if vectors.dtype == np.float32 else np.float64
        mean = vectors.mean(axis=0, dtype=np.float64).astype(dtype)
        self._points: Floats = np.subtract(vectors, mean, dtype=dtype)  # distances stay the same and lose fewer digits
        self._norms: Floats = np.einsum("ij,ij->i", self._points, self._points)
        n_given = 0 if centres is None else len(centres)
        self._centres: Floats = np.empty((n_given + k, vectors.shape[1]), dtype=dtype)
        self._centre_norms: Floats = np.empty(n_given + k, dtype=dtype)
        self.n_centres = n_given
        if centres is not None:
            np.subtract(centres, mean, out=self._centres[:n_given])
            self._centre_norms[:n_given] = np.einsum("ij,ij->i", self._centres[:n_given], self._centres[:n_given])
        largest = max(self._norms.max(initial=0.0), self._centre_norms[:n_given].max(initial=0.0))
        self._tie = float(_TIE_ULPS * np.finfo(dtype).eps * largest)
        self.bounds: Floats = np.full(len(vectors), np.inf, dtype=dtype)
        self._n_seen = np.zeros(len(vectors), dtype=np.int64)
        self._block_size = max(256, _BLOCK_BYTES // (self._points.itemsize * vectors.shape[1]))
        if n_given:
            self._bring_up_to_date(np.arange(len(vectors)))

    def farthest_from_mean(self) -> int:
        """Position of the point farthest from the mean of all points."""
        return int(np.argmax(self._norms >= self._norms.max() - self._tie))

    def add(self, picked: Indices) -> None:
        """Make picked points centres, seen by all points."""
        self._append(picked)
        self._bring_up_to_date(np.arange(len(self.bounds)))
        self.bounds[picked] = -np.inf

    def block(self) -> tuple[Indices, float]:
        """Points with the largest bounds, brought up to date, and the value that all bounds outside lie below."""
        n_outside = max(0, len(self.bounds) - self._block_size)
        floor = max(float(np.partition(self.bounds, n_outside)[n_outside]), 0.0) - self._tie
        block = np.flatnonzero(self.bounds >= floor)
        self._bring_up_to_date(block[self._n_seen[block] < self.n_centres])
        return block, floor

    def pick_inside(self, block: Indices, floor: float, n_wanted: int) -> tuple[Indices, Scores]:
        """Pick inside a block for as long as nothing outside can be as far.

        Args:
            block: ``(B,)`` positions, ascending.
            floor: value that all bounds outside lie below.
            n_wanted: most picks to make.

        Returns:
            Positions and squared distances of the picks, possibly none.
        """
        inside, norms, near = self._points[block], self._norms[block], self.bounds[block]
        picked: list[int] = []
        squared: list[float] = []
        while len(picked) < n_wanted:
            farthest = float(near.max())
            if farthest <= self._tie and floor <= 0:
                duplicates = np.flatnonzero(near >= 0)[: n_wanted - len(picked)]
                picked.extend(duplicates.tolist())
                squared.extend([0.0] * len(duplicates))
                near[duplicates] = -np.inf
                break
            if farthest - self._tie < floor:
                break
            here = int(np.argmax(near >= farthest - self._tie))
            picked.append(here)
            squared.append(float(near[here]))
            distances = inside @ inside[here]
            distances *= -2
            distances += norms
            distances += norms[here]
            np.maximum(distances, 0, out=distances)
            np.minimum(near, distances, out=near)
            near[here] = -np.inf
        positions = block[np.asarray(picked, dtype=np.int64)]
        self.bounds[block] = near
        self._append(positions)
        self._n_seen[block] = self.n_centres
        return positions, np.asarray(squared)

    def _append(self, picked: Indices) -> None:
        stop = self.n_centres + len(picked)
        self._centres[self.n_centres : stop] = self._points[picked]
        self._centre_norms[self.n_centres : stop] = self._norms[picked]
        self.n_centres = stop

    def _bring_up_to_date(self, stale: Indices) -> None:
        """Show points the centres they have not seen; points that have seen equally many go together."""
        order = stale[np.argsort(self._n_seen[stale], kind="stable")]
        start = 0
        while start < len(order):
            seen = int(self._n_seen[order[start]])
            rows = order[start : start + max(1, _PRODUCT_VALUES // (self.n_centres - seen))]
            squared = self._points[rows] @ self._centres[seen : self.n_centres].T
            squared *= -2
            squared += self._centre_norms[seen : self.n_centres]
            nearest = np.maximum(squared.min(axis=1) + self._norms[rows], 0)
            self.bounds[rows] = np.minimum(self.bounds[rows], nearest)
            self._n_seen[rows] = self.n_centres
            start += len(rows)
