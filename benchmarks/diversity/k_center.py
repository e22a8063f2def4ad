"""Time k-center greedy in lazy blocks against one distance call, and one matrix-vector product, per pick.

    python benchmarks/diversity/k_center.py

The peers would run for minutes to a quarter of an hour: they make ``--peer_picks`` picks, and their time is multiplied
up (every pick costs the same). Exactness is checked on ``--check_rows`` rows, where plain greedy runs to the end.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy is loaded

import numpy as np
from corpus import vectors
from record import cpu_seconds, goal, write
from sklearn.metrics import pairwise_distances

from hf_select.methods.representativeness.k_center import k_center


def distance_call_per_pick(points, k, first):
    """As public core-set code has it: scikit-learn's distances of all points to the last pick."""
    return _per_pick(points, k, first, lambda here: pairwise_distances(points, points[[here]])[:, 0])


def product_per_pick(points, k, first):
    """The same with one matrix-vector product per pick."""
    norms = np.einsum("ij,ij->i", points, points)
    return _per_pick(
        points, k, first, lambda here: np.sqrt(np.maximum(norms + norms[here] - 2 * (points @ points[here]), 0))
    )


def _per_pick(points, k, first, distances_to):
    nearest = np.full(len(points), np.inf, dtype=points.dtype)
    picks = [first]
    for _ in range(k - 1):
        nearest = np.minimum(nearest, distances_to(picks[-1]))
        nearest[picks[-1]] = -1
        picks.append(int(nearest.argmax()))
    return np.array(picks)


def radius(points, picks):
    """Largest distance of a point to its nearest pick, in float64."""
    centres = points[picks].astype(np.float64)
    parts = np.array_split(points.astype(np.float64), max(1, len(points) // 500))
    return max(pairwise_distances(part, centres).min(axis=1).max() for part in parts)


def check(points, share):
    """Picks of the blocks against those of plain greedy in float64."""
    k = int(len(points) * share)
    positions, _ = k_center(points, k)
    plain = product_per_pick(points.astype(np.float64), k, int(positions[0]))
    blocks_radius, plain_radius = radius(points, positions), radius(points, plain)
    return {
        "rows": len(points),
        "picks": k,
        "same_position_fraction": float((positions == plain).mean()),
        "same_rows_fraction": len(set(positions.tolist()) & set(plain.tolist())) / k,
        "radius": float(blocks_radius),
        "radius_plain": float(plain_radius),
        "radius_gap": float(abs(blocks_radius - plain_radius) / plain_radius),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=75_000, help="functions to embed (default: %(default)s)")
    parser.add_argument("--columns", type=int, default=384, help="width of a vector (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.4, help="fraction to pick (default: %(default)s)")
    parser.add_argument("--peer_picks", type=int, default=200, help="picks the peers make (default: %(default)s)")
    parser.add_argument(
        "--check_rows", type=int, default=6000, help="rows of the exactness check (default: %(default)s)"
    )
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "hf_select_diversity")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    points = vectors(args.rows, args.columns, args.cache)
    k, first = int(args.rows * args.share), 0
    seconds, (_, distances) = cpu_seconds(lambda: k_center(points, k, first=first))
    scale = k / args.peer_picks
    by_call = cpu_seconds(lambda: distance_call_per_pick(points, args.peer_picks, first))[0] * scale
    by_product = cpu_seconds(lambda: product_per_pick(points, args.peer_picks, first))[0] * scale
    exactness = check(points[np.random.default_rng(0).permutation(args.rows)[: args.check_rows]], args.share)
    write(
        args.output,
        {"rows": args.rows, "columns": args.columns, "picks": k, "peer_picks": args.peer_picks},
        {
            "lazy_blocks": round(seconds, 2),
            "distance_call_per_pick_extrapolated": round(by_call, 1),
            "product_per_pick_extrapolated": round(by_product, 1),
            "last_distance": float(distances[-1]),
            "exactness": exactness,
        },
        [
            goal("times faster than a distance call per pick", 40, by_call / seconds),
            goal("times faster than a product per pick", 10, by_product / seconds),
            goal("relative gap of the radius to plain greedy", 1e-5, exactness["radius_gap"], at_least=False),
        ],
    )


if __name__ == "__main__":
    main()
