"""Graph density: rows in dense regions first, with a penalty for the neighbours of every pick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from hf_select.methods.base import Picks, Scores
from hf_select.methods.field import require_choice, require_positive, require_whole
from hf_select.methods.representativeness.embedded import Embedded
from hf_select.methods.representativeness.neighbour import Metric, edge_distances, nearest
from hf_select.signals.keys import EMBEDDING, Floats, Indices
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class GraphDensity(Embedded):
    """Density of every row in the graph of nearest neighbours, lowered around each pick.

    ``density_i = mean over neighbours j of exp(-gamma ||e_i - e_j||_1)``; the densest row is picked, its density is
    subtracted from all its neighbours, and so on. Two rows are neighbours if either is among the nearest of the other.

    Attributes:
        n_neighbours: nearest rows of each row; all others where the pool is smaller.
        metric: how neighbours are found: ``"manhattan"`` as published, ``"euclidean"`` for speed, which finds other
            neighbours and changes many picks (``benchmarks/diversity``). Edges are weighed by Manhattan distance
            either way.
        gamma: decay of the weights; ``None`` for 1 / D.

    Needs:
        ``embedding``.

    Higher means:
        Denser when it was picked; the score is the density that was left at that turn.

    Fails when:
        The densest region is boilerplate: then the typical rows are the dull ones.

    Cost:
        O(N^2 D) for exact neighbours (faster with faiss installed), O(N k) to pick, O(N D) memory.

    Source:
        Ebert et al. 2012 (RALF), in the form of google/active-learning.

    Differs from the source:
        Picks keep their order, ties go to the lower row id, and a row without a positive weight has density 0.
    """

    name = "graph_density"
    citation = "Ebert et al. 2012, RALF, doi:10.1109/CVPR.2012.6248108"

    n_neighbours: int = 10
    metric: Metric = "manhattan"
    gamma: float | None = None

    def __post_init__(self) -> None:
        require_whole("n_neighbours", self.n_neighbours)
        require_choice("metric", self.metric, ("manhattan", "euclidean"))
        if self.gamma is not None:
            require_positive("gamma", self.gamma)

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:  # noqa: ARG002
        """The ``k`` rows in greedy order, each with the density that was left."""
        weights = self.graph(signals[EMBEDDING][rows])
        left = density(weights)
        positions = np.empty(k, dtype=np.int64)
        scores = np.empty(k, dtype=np.float64)
        for turn in range(k):
            here = int(np.argmax(left))
            positions[turn], scores[turn] = here, left[here]
            left[weights.indices[weights.indptr[here] : weights.indptr[here + 1]]] -= left[here]
            left[here] = -np.inf
        return Picks(rows[positions], scores)

    def graph(self, vectors: Floats) -> sparse.csr_matrix:
        """The weighted graph of neighbours.

        Args:
            vectors: ``(M, D)`` points.

        Returns:
            ``(M, M)`` symmetric weights, 0 where two points are no neighbours.
        """
        n_rows, n_columns = vectors.shape
        width = min(self.n_neighbours, n_rows - 1)
        if width == 0:
            return sparse.csr_matrix((n_rows, n_rows))
        neighbours = nearest(vectors, width, self.metric)
        gamma = 1.0 / n_columns if self.gamma is None else self.gamma
        weights = np.exp(-gamma * edge_distances(vectors, np.arange(n_rows), neighbours, "manhattan"))
        edges = (weights.ravel(), neighbours.ravel(), np.arange(0, weights.size + 1, width))
        one_way = sparse.csr_matrix(edges, shape=(n_rows, n_rows))
        graph = one_way.maximum(one_way.T).tocsr()
        graph.eliminate_zeros()
        return graph


def density(weights: sparse.csr_matrix) -> Scores:
    """Mean weight of the edges of every row: ``(M,)``, 0 for a row without edges."""
    n_edges = np.diff(weights.indptr)
    total = np.asarray(weights.sum(axis=1), dtype=np.float64).ravel()
    return np.asarray(total / np.maximum(n_edges, 1))
