"""Exact nearest neighbours, by faiss where it is installed and by scikit-learn elsewhere, with the same result."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from hf_select.methods.base import Scores
from hf_select.signals.keys import Floats, Indices, Mask

Metric: TypeAlias = Literal["manhattan", "euclidean"]

_SPARE = 4  # neighbours asked for beyond those needed, so that rounding in the search can be put right
_WIDER = 4  # how many times more are asked for where that was not enough
_WIDEST = 512
_CHUNK_VALUES = 1 << 22
_TILE_BYTES = 3 << 19
_ULPS = 16  # rounding errors of the search, in units of the last place of the largest norm


def nearest(vectors: Floats, n_neighbours: int, metric: Metric) -> Indices:
    """The nearest other points of every point; equal distances go to the lower position.

    The search runs in float32 and returns some spare neighbours, which are ranked again in float64. Where the spare
    ones lie too close to settle the matter, more are asked for, and in the end all points are compared.

    Args:
        vectors: ``(N, D)`` points.
        n_neighbours: how many per point, at most ``N - 1``.
        metric: how to measure.

    Returns:
        ``(N, n_neighbours)`` positions, nearest first.
    """
    points = np.ascontiguousarray(vectors - vectors.mean(axis=0, dtype=np.float64), dtype=np.float32)
    search, error = _search(points, metric), _search_error(points, metric)
    found = np.empty((len(points), n_neighbours), dtype=np.int64)
    pending = np.arange(len(points))
    n_asked = min(len(points), n_neighbours + 1 + _SPARE)
    while len(pending) and n_asked <= max(_WIDEST, n_neighbours + 1 + _SPARE):
        settled = np.empty(len(pending), dtype=bool)
        step = max(1, _CHUNK_VALUES // n_asked)
        for start in range(0, len(pending), step):
            rows = pending[start : start + step]
            ranked, settled[start : start + step] = _rank(
                vectors, rows, search(points[rows], n_asked), n_neighbours, metric, error
            )
            found[rows] = ranked
        pending = pending[~settled]
        n_asked = min(len(points), n_asked * _WIDER)
    _compare_with_all(vectors, found, pending, metric)
    return found


def edge_distances(vectors: Floats, rows: Indices, neighbours: Indices, metric: Metric) -> Scores:
    """Distance of points to their neighbours in float64.

    Args:
        vectors: ``(N, D)`` points.
        rows: ``(M,)`` positions of points.
        neighbours: ``(M, K)`` positions of their neighbours.
        metric: how to measure.

    Returns:
        ``(M, K)`` distances.
    """
    distances = np.empty(neighbours.shape)
    step = max(1, _CHUNK_VALUES // (neighbours.shape[1] * vectors.shape[1]))
    for start in range(0, len(rows), step):
        here = slice(start, start + step)
        gap = vectors[neighbours[here]].astype(np.float64)
        gap -= vectors[rows[here], None]
        if metric == "manhattan":
            distances[here] = np.abs(gap, out=gap).sum(axis=2)
        else:
            distances[here] = np.sqrt(np.square(gap, out=gap).sum(axis=2))
    return distances


def _search(points: Floats, metric: Metric) -> Callable[[Floats, int], Indices]:
    """A function of queries and a number: their nearest points in float32, usually with themselves among them."""
    if importlib.util.find_spec("faiss"):
        import faiss

        if metric == "manhattan":
            return lambda queries, n: _tiled(faiss, points, queries, n)
        return lambda queries, n: np.asarray(faiss.knn(queries, points, n)[1], dtype=np.int64)
    from sklearn.neighbors import NearestNeighbors

    engine = NearestNeighbors(metric=metric, algorithm="brute").fit(points)
    return lambda queries, n: np.asarray(engine.kneighbors(queries, n, return_distance=False), dtype=np.int64)


def _tiled(faiss: Any, points: Floats, queries: Floats, n_asked: int) -> Indices:
    """Manhattan neighbours tile by tile: the search reads all points for every query, and a tile stays in the cache."""
    best = np.empty((len(queries), 0), dtype=np.float32)
    found = np.empty((len(queries), 0), dtype=np.int64)
    size = max(n_asked, _TILE_BYTES // (4 * points.shape[1]))
    for start in range(0, len(points), size):
        tile = points[start : start + size]
        distances, here = faiss.knn(queries, tile, min(n_asked, len(tile)), metric=faiss.METRIC_L1)
        best, found = np.hstack([best, distances]), np.hstack([found, here + start])
        if best.shape[1] > n_asked:
            keep = np.argpartition(best, n_asked - 1, axis=1)[:, :n_asked]
            best, found = np.take_along_axis(best, keep, axis=1), np.take_along_axis(found, keep, axis=1)
    return found


def _search_error(points: Floats, metric: Metric) -> float:
    """What the float32 search may be off by: in the distance (Manhattan) or in its square (Euclidean)."""
    size = np.abs(points).sum(axis=1) if metric == "manhattan" else np.square(points).sum(axis=1)
    return _ULPS * float(np.finfo(np.float32).eps) * float(size.max())


def _rank(
    vectors: Floats, rows: Indices, candidates: Indices, n_neighbours: int, metric: Metric, error: float
) -> tuple[Indices, Mask]:
    """The nearest of the candidates, and for each row whether no other point can be nearer or equally near."""
    distances = edge_distances(vectors, rows, candidates, metric)
    itself = candidates == rows[:, None]
    if metric == "euclidean":
        np.square(distances, out=distances)
    last = np.where(itself, -np.inf, distances).max(axis=1)
    distances[itself] = np.inf
    order = np.lexsort((candidates, distances), axis=1)[:, :n_neighbours]
    settled = np.take_along_axis(distances, order[:, -1:], axis=1)[:, 0] < last - error
    if candidates.shape[1] == len(vectors):
        settled[:] = True
    return np.take_along_axis(candidates, order, axis=1), settled


def _compare_with_all(vectors: Floats, found: Indices, rows: Indices, metric: Metric) -> None:
    """Rank all points for some rows, once for every distinct vector among them; writes into ``found``."""
    if len(rows) == 0:
        return
    from scipy.spatial.distance import cdist

    n_neighbours = found.shape[1]
    distinct, which = np.unique(vectors[rows], axis=0, return_inverse=True)
    which = which.reshape(-1)
    for number, vector in enumerate(distinct):
        distances = cdist(vector[None], vectors, "cityblock" if metric == "manhattan" else "euclidean")[0]
        ranked = np.argsort(distances, kind="stable")[: n_neighbours + 1]
        for row in rows[which == number]:
            found[row] = ranked[ranked != row][:n_neighbours]
