"""k-means: one row for each of as many clusters as there are picks."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from hf_select.methods.allocation import largest_remainder
from hf_select.methods.base import Picks
from hf_select.methods.field import require_whole
from hf_select.methods.representativeness.embedded import Embedded
from hf_select.methods.representativeness.k_center import k_center
from hf_select.signals.keys import EMBEDDING, Floats, Indices
from hf_select.signals.table import Signals

_MANY_ROWS = 10_000  # from here on one start of k-means is enough


@dataclass(frozen=True)
class KMeans(Embedded):
    """One cluster per pick; from each the member nearest to the cluster's mean.

    Picks come in order of the size of their cluster, ties by row id. If fewer distinct clusters exist than picks are
    asked for (duplicates), k-center greedy continues from the picks.

    Attributes:
        max_clusters: above this many picks the rows are first split into ``sqrt(k)`` strata by k-means, and each
            stratum is clustered alone with its share of the picks.

    Needs:
        ``embedding``.

    Higher means:
        The pick stands for more rows: the score is the size of its cluster, 0 where k-center had to continue.

    Fails when:
        Clusters of the embedding follow length or style instead of content, or near duplicates make clusters of their
        own.

    Cost:
        O(N k D) per iteration of k-means, at most 300 iterations; above ``max_clusters`` O(N sqrt(k) D).

    Source:
        Zhdanov 2019 (diverse mini-batch active learning), without weights.

    Differs from the source:
        Rows have equal weight and no uncertainty filter stands before the clusters. The two levels above
        ``max_clusters`` are ours.
    """

    name = "k_means"
    citation = "Zhdanov 2019, arXiv:1901.05954"
    ordered = False

    max_clusters: int = 2000

    def __post_init__(self) -> None:
        require_whole("max_clusters", self.max_clusters)

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The ``k`` representatives, largest cluster first."""
        vectors = signals[EMBEDDING][rows]
        found, sizes = self._representatives(vectors, k, rng)
        order = np.lexsort((found, -sizes))
        found, sizes = found[order], sizes[order]
        if len(found) < k:
            rest = np.setdiff1d(np.arange(len(rows)), found)
            more, _ = k_center(vectors[rest], k - len(found), centres=vectors[found])
            found = np.concatenate([found, rest[more]])
            sizes = np.concatenate([sizes, np.zeros(len(more), dtype=np.int64)])
        return Picks(rows[found], sizes.astype(np.float64))

    def _representatives(self, vectors: Floats, k: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
        if k <= self.max_clusters:
            return representatives(vectors, cluster(vectors, k, seed=draw_seed(rng)))
        strata = cluster(vectors, math.isqrt(k), seed=draw_seed(rng))
        shares = largest_remainder(np.bincount(strata), k)
        found, sizes = [], []
        for stratum in np.flatnonzero(shares):
            members = np.flatnonzero(strata == stratum)
            labels = cluster(vectors[members], int(shares[stratum]), seed=draw_seed(rng))
            nearest, size = representatives(vectors[members], labels)
            found.append(members[nearest])
            sizes.append(size)
        return np.concatenate(found), np.concatenate(sizes)


def cluster(vectors: Floats, n_clusters: int, *, seed: int, n_init: int | None = None) -> Indices:
    """Labels of k-means (k-means++ start, Lloyd) in float64.

    In float32 the order in which threads add up can move a row over a border; in float64 that is lost in rounding.

    Args:
        vectors: ``(N, D)`` points.
        n_clusters: how many clusters, reduced to the number of distinct points.
        seed: seed of the start.
        n_init: number of starts, the best is kept; ``None`` for 10 below 10,000 rows, else 1.

    Returns:
        ``(N,)`` labels; a label may have no member.
    """
    from sklearn.cluster import KMeans as Lloyd
    from sklearn.exceptions import ConvergenceWarning

    starts = n_init or (10 if len(vectors) < _MANY_ROWS else 1)
    lloyd = Lloyd(min(n_clusters, n_distinct(vectors)), n_init=starts, random_state=seed, copy_x=False)
    with warnings.catch_warnings():
        # It warns where rounding merges clusters; the callers handle labels without members.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return lloyd.fit(np.array(vectors, dtype=np.float64)).labels_.astype(np.int64)  # type: ignore[no-any-return]


def representatives(vectors: Floats, labels: Indices) -> tuple[Indices, Indices]:
    """For every cluster with members, the one nearest to the mean of the cluster; ties go to the lower position.

    Args:
        vectors: ``(N, D)`` points.
        labels: ``(N,)`` cluster of every point.

    Returns:
        Positions and sizes, both ``(C,)`` in label order.
    """
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    n_rows = len(vectors)
    members = sparse.csr_matrix((np.ones(n_rows), (labels, np.arange(n_rows))), shape=(len(sizes), n_rows))
    means = (members @ vectors.astype(np.float64)) / sizes[:, None]
    distances = np.square(vectors - means[labels]).sum(axis=1)
    order = np.lexsort((distances, labels))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return order[starts].astype(np.int64), sizes.astype(np.int64)


def n_distinct(vectors: Floats) -> int:
    """Number of different rows (compared bit by bit, with both zeros as one)."""
    exact = np.ascontiguousarray(vectors + 0.0)
    return len(np.unique(exact.view(np.dtype((np.void, exact.itemsize * exact.shape[1])))))


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for scikit-learn."""
    return int(rng.integers(2**31))
