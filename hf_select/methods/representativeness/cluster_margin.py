"""Cluster-Margin: the rows the model is least sure of, spread over clusters of the embedding."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Exclusions, Family, Method, Picks, top_k
from hf_select.methods.field import require_choice, require_whole
from hf_select.methods.representativeness.embedded import nowhere
from hf_select.methods.representativeness.k_means import cluster, draw_seed, n_distinct
from hf_select.methods.uncertainty.margin import Margin
from hf_select.signals.keys import EMBEDDING, Floats, Indices, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class ClusterMargin(Method):
    """Of the ``rows_per_pick * k`` rows with the smallest margin, one of each cluster in turn, smallest cluster first.

    ``margin_i = p_i(most likely) - p_i(second)``, for causal LMs the mean over the tokens of the response. Clusters
    come from average linkage of all eligible rows; their size is that among the rows with the smallest margins, ties go
    to the cluster with the lower smallest margin, then to the lower row id. After the largest cluster the turn is again
    with the smallest that has rows left.

    Attributes:
        task: ``"causal_lm"`` takes the margin of tokens, ``"classification"`` that of classes (see ``margin``).
        rows_per_pick: how many of the least certain rows there are to choose from, for each pick.
        rows_per_cluster: mean size of a cluster; there are no more clusters than different embeddings.
        within: who is taken from a cluster: the row with the ``"lowest_margin"``, or a ``"random"`` one.
        max_rows: above this many rows, k-means splits them first, and every part is clustered alone.

    Needs:
        ``embedding`` and ``token_margin``; with ``task="classification"`` ``class_probabilities`` instead of that.

    Higher means:
        Less certain: the score is the negated margin. Picks come round by round, so that scores are in no order.

    Fails when:
        The model is unsure for no good reason (noise, wrong labels): every round takes outliers first, which are
        clusters of their own.

    Cost:
        One forward pass and one of the embedder. Average linkage takes O(N^2) time and memory (1.6 GB at 20,000 rows).

    Source:
        Citovsky et al. 2021 (Batch active learning at scale).

    Differs from the source:
        Lowest margins inside a cluster instead of random rows (``within="random"`` is the source). Clusters are cut by
        their number, not at a distance. The split above ``max_rows`` is ours, as is the margin of tokens.
    """

    name = "cluster_margin"
    family = Family.REPRESENTATIVENESS
    citation = "Citovsky et al. 2021, arXiv:2107.14263"
    ordered = False

    task: Literal["causal_lm", "classification"] = "causal_lm"
    rows_per_pick: int = 10
    rows_per_cluster: int = 10
    within: Literal["lowest_margin", "random"] = "lowest_margin"
    max_rows: int = 20_000

    def __post_init__(self) -> None:
        require_choice("task", self.task, ("causal_lm", "classification"))
        require_whole("rows_per_pick", self.rows_per_pick)
        require_whole("rows_per_cluster", self.rows_per_cluster)
        require_choice("within", self.within, ("lowest_margin", "random"))
        require_whole("max_rows", self.max_rows, minimum=2)

    @property
    def margin(self) -> Margin:
        """The scorer that tells how unsure the model is of a row."""
        return Margin(task=self.task)

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The embedding and what the margin is read from."""
        return frozenset({EMBEDDING}) | self.margin.needs

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows that lie nowhere, and rows without a margin."""
        return {"no finite embedding": nowhere(signals), **self.margin.exclusions(signals)}

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The ``k`` rows round by round."""
        labels = self.clusters(signals[EMBEDDING][rows], rng)
        unsure = self.margin.score(signals)[rows]
        first = top_k(unsure, np.arange(len(rows)), min(self.rows_per_pick * k, len(rows)))
        found = take_turns(first.indices, labels, k, rng if self.within == "random" else None)
        return Picks(rows[found], unsure[found])

    def clusters(self, vectors: Floats, rng: np.random.Generator) -> Indices:
        """Clusters by average linkage, in parts where there are more than ``max_rows``.

        Args:
            vectors: ``(M, D)`` embeddings.
            rng: draws the seed of k-means that makes the parts.

        Returns:
            ``(M,)`` labels; equal embeddings have the same.
        """
        n_clusters = min(max(1, len(vectors) // self.rows_per_cluster), n_distinct(vectors))
        if n_clusters == 1:
            return np.zeros(len(vectors), dtype=np.int64)
        if len(vectors) <= self.max_rows:
            return linked(vectors, n_clusters)
        parts = cluster(vectors, math.ceil(2 * len(vectors) / self.max_rows), seed=draw_seed(rng))
        labels = np.zeros(len(vectors), dtype=np.int64)
        n_labels = 0
        for part in np.unique(parts):
            members = np.flatnonzero(parts == part)
            if len(members) < len(vectors):  # else rounding keeps k-means from telling them apart
                labels[members] = n_labels + self.clusters(vectors[members], rng)
            n_labels = int(labels.max()) + 1
        return labels


def linked(vectors: Floats, n_clusters: int) -> Indices:
    """Labels of average linkage by Euclidean distance, in float64.

    Args:
        vectors: ``(N, D)`` points, at least two.
        n_clusters: how many clusters, at most the number of different points: then equal points stay together.

    Returns:
        ``(N,)`` labels.
    """
    from sklearn.cluster import AgglomerativeClustering

    linkage = AgglomerativeClustering(n_clusters, linkage="average")
    return linkage.fit(vectors.astype(np.float64)).labels_.astype(np.int64)  # type: ignore[no-any-return]


def take_turns(rows: Indices, labels: Indices, k: int, rng: np.random.Generator | None = None) -> Indices:
    """Take one row of every cluster in turn, the cluster with the fewest rows first, until there are ``k``.

    Args:
        rows: ``(M,)`` positions, ``M >= k``; clusters of one size go in order of their first row here.
        labels: ``(N,)`` cluster of every position.
        k: how many to take.
        rng: draws the row of a cluster; ``None`` takes them in the order of ``rows``.

    Returns:
        ``(k,)`` positions.
    """
    clusters: dict[int, list[int]] = {}
    for row in rows.tolist():
        clusters.setdefault(int(labels[row]), []).append(row)
    turns = deque(sorted(clusters.values(), key=len))
    taken: list[int] = []
    while len(taken) < k:
        members = turns.popleft()
        taken.append(members.pop(0 if rng is None else int(rng.integers(len(members)))))
        if members:
            turns.append(members)
    return np.asarray(taken, dtype=np.int64)
