"""Time graph density against its published form: scikit-learn's Manhattan graph and one distance call per edge.

    python benchmarks/diversity/graph_density.py

The published form is timed on ``--peer_rows`` rows and ``--peer_edges`` edges and multiplied up; its loop over picks is
left out of its time and counted in ours.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy is loaded

import numpy as np
from corpus import vectors
from record import cpu_seconds, goal, write
from sklearn.metrics.pairwise import manhattan_distances
from sklearn.neighbors import NearestNeighbors

from hf_select.methods import make
from hf_select.signals.keys import EMBEDDING
from hf_select.signals.table import Signals

N_NEIGHBOURS = 10


def published(points, n_rows, n_edges):
    """CPU seconds of the published graph, multiplied up from some rows and some edges."""
    search = NearestNeighbors(n_neighbors=N_NEIGHBOURS, p=1).fit(points)
    by_rows, near = cpu_seconds(lambda: search.kneighbors(points[:n_rows], return_distance=False))

    def weigh():
        return [
            np.exp(-manhattan_distances(points[i : i + 1], points[j : j + 1]) / points.shape[1])
            for i, j in ((edge // N_NEIGHBOURS, near.flat[edge]) for edge in range(n_edges))
        ]

    by_edges, _ = cpu_seconds(weigh)
    return by_rows * len(points) / n_rows, by_edges * len(points) * N_NEIGHBOURS / n_edges


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="functions to embed (default: %(default)s)")
    parser.add_argument("--columns", type=int, default=384, help="width of a vector (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.4, help="fraction to pick (default: %(default)s)")
    parser.add_argument("--peer_rows", type=int, default=500, help="rows the peer searches (default: %(default)s)")
    parser.add_argument("--peer_edges", type=int, default=2000, help="edges the peer weighs (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "hf_select_diversity")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    points = vectors(args.rows, args.columns, args.cache)
    signals, k = Signals({EMBEDDING: points}), int(args.rows * args.share)
    measured, picks = {}, {}
    for metric in ("manhattan", "euclidean"):
        method = make("graph_density", metric=metric, n_neighbours=N_NEIGHBOURS)
        seconds, chosen = cpu_seconds(lambda method=method: method.pick(signals, k, np.random.default_rng(0)))
        measured[metric], picks[metric] = seconds, set(chosen.indices.tolist())
    graph, edges = published(points, args.peer_rows, args.peer_edges)
    write(
        args.output,
        {"rows": args.rows, "columns": args.columns, "picks": k, "neighbours": N_NEIGHBOURS}
        | {"peer_rows": args.peer_rows, "peer_edges": args.peer_edges},
        {
            **{metric: round(seconds, 2) for metric, seconds in measured.items()},
            "published_graph_extrapolated": round(graph, 1),
            "published_edges_extrapolated": round(edges, 1),
            "picks_in_common_of_the_two_metrics": len(picks["manhattan"] & picks["euclidean"]) / k,
        },
        [
            goal("times faster than the published form, same graph", 6, (graph + edges) / measured["manhattan"]),
            goal("times faster with euclidean neighbours", 30, (graph + edges) / measured["euclidean"]),
        ],
    )


if __name__ == "__main__":
    main()
