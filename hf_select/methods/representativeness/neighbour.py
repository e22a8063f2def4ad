"""Exact nearest neighbours, by faiss where it is installed and by scikit-learn elsewhere, with the same result."""

from __future__ import annotations

import importlib.util
from typing import Literal, TypeAlias

import numpy as np

from hf_select.methods.base import Scores
from hf_select.signals.keys import Floats, Indices

Metric: TypeAlias = Literal["manhattan", "euclidean"]

_SPARE = 6  # neighbours asked for beyond those needed, so that rounding in the search can be put right
_CHUNK_VALUES = 1 << 22
_ULPS = 16  # rounding errors of the search, in units of the last place of the largest norm


def nearest(vectors: Floats, n_neighbours: int, metric: Metric) -> Indices:
    """The nearest other points of every point; equal distances go to the lower position.

    The search runs in float32 and returns a few spare neighbours. They are ranked again in float64, and a point whose
    spare ones do not settle the matter is compared with all others.

    Args:
        vectors: ``(N, D)`` points.
        n_neighbours: how many per point, at most ``N - 1``.
        metric: how to measure.

    Returns:
        ``(N, n_neighbours)`` positions, nearest first.
    """
    n_rows = len(vectors)
    points = np.ascontiguousarray(vectors - vectors.mean(axis=0, dtype=np.float64), dtype=np.float32)
    n_asked = min(n_rows, n_neighbours + 1 + _SPARE)
    found = np.asarray(_search(points, n_asked, metric), dtype=np.int64)
    distances = edge_distances(vectors, found, metric)
    distances[found == np.arange(n_rows)[:, None]] = np.inf  # a point is not its own neighbour
    order = np.lexsort((found, distances), axis=1)
    found = np.take_along_axis(found, order, axis=1)
    distances = np.take_along_axis(distances, order, axis=1)
    if n_asked < n_rows:
        measured = distances if metric == "manhattan" else np.square(distances)
        last = np.where(np.isfinite(measured), measured, -np.inf).max(axis=1)
        unsettled = measured[:, n_neighbours - 1] >= last - _search_error(points, metric)
        _settle(vectors, found, np.flatnonzero(unsettled), n_neighbours, metric)
    return found[:, :n_neighbours]


def edge_distances(vectors: Floats, neighbours: Indices, metric: Metric) -> Scores:
    """Distance of every point to its neighbours in float64.

    Args:
        vectors: ``(N, D)`` points.
        neighbours: ``(N, K)`` positions.
        metric: how to measure.

    Returns:
        ``(N, K)`` distances.
    """
    n_rows, width = neighbours.shape
    distances = np.empty((n_rows, width))
    step = max(1, _CHUNK_VALUES // (width * vectors.shape[1]))
    for start in range(0, n_rows, step):
        here = slice(start, start + step)
        gap = vectors[neighbours[here]].astype(np.float64)
        gap -= vectors[here, None]
        if metric == "manhattan":
            distances[here] = np.abs(gap, out=gap).sum(axis=2)
        else:
            distances[here] = np.sqrt(np.square(gap, out=gap).sum(axis=2))
    return distances


def _search(points: Floats, n_asked: int, metric: Metric) -> Indices:
    """``(N, n_asked)`` approximate order in float32; the point itself is usually among them."""
    if importlib.util.find_spec("faiss"):
        import faiss

        measure = faiss.METRIC_L1 if metric == "manhattan" else faiss.METRIC_L2
        return faiss.knn(points, points, n_asked, metric=measure)[1]
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=n_asked, metric=metric, algorithm="brute").fit(points)
    return search.kneighbors(points, return_distance=False)  # type: ignore[no-any-return]


def _search_error(points: Floats, metric: Metric) -> float:
    """What the float32 search may be off by: in the distance (Manhattan) or in its square (Euclidean)."""
    size = np.abs(points).sum(axis=1) if metric == "manhattan" else np.square(points).sum(axis=1)
    return _ULPS * float(np.finfo(np.float32).eps) * float(size.max())


def _settle(vectors: Floats, found: Indices, rows: Indices, n_neighbours: int, metric: Metric) -> None:
    """Rank all points for some rows, once for every distinct vector among them; writes into ``found``."""
    from scipy.spatial.distance import cdist

    if len(rows) == 0:
        return
    distinct, which = np.unique(vectors[rows], axis=0, return_inverse=True)
    which = which.reshape(-1)
    for number, vector in enumerate(distinct):
        distances = cdist(vector[None], vectors, "cityblock" if metric == "manhattan" else "euclidean")[0]
        ranked = np.argsort(distances, kind="stable")[: n_neighbours + 1]
        for row in rows[which == number]:
            found[row, :n_neighbours] = ranked[ranked != row][:n_neighbours]
