"""Time the picks of BADGE against a distance call, and a matrix-vector product, per pick on the gradients themselves.

    python -m benchmarks.badge.badge_speed

States are random, around ``--centres`` points, so that picks lie in each other's reach and some draws are made again.
The peers cost the same for every pick: they make ``--peer_picks`` of them, and their time is multiplied up.
"""

import argparse
import json
import os
import shlex
import sys
import tracemalloc
from importlib.metadata import version
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy is loaded

import numpy as np
from sklearn.metrics import pairwise_distances

from benchmarks.diversity.record import cpu_seconds, goal
from hf_select.methods.representativeness.badge import output_gradients
from hf_select.methods.representativeness.k_means_plus_plus import Points, k_means_plus_plus


def per_pick(squared_distances_to, n_rows, first, k, rng):
    """As public BADGE code has it: distances of all rows to the last pick, then one draw."""
    nearest = np.full(n_rows, np.inf)
    picks = [first]
    for _ in range(k - 1):
        nearest = np.minimum(nearest, squared_distances_to(picks[-1]))
        nearest[picks[-1]] = 0.0
        picks.append(int(rng.choice(n_rows, p=nearest / nearest.sum())))
    return np.array(picks)


def distance_call_per_pick(gradients, k, first, rng):
    """With scikit-learn's distances on the materialised gradients."""
    return per_pick(
        lambda here: np.square(pairwise_distances(gradients, gradients[[here]])[:, 0].astype(np.float64)),
        len(gradients), first, k, rng,
    )  # fmt: skip


def product_per_pick(gradients, k, first, rng):
    """With one matrix-vector product per pick on the materialised gradients."""
    norms = np.einsum("ij,ij->i", gradients, gradients).astype(np.float64)
    return per_pick(
        lambda here: np.maximum(norms + norms[here] - 2.0 * (gradients @ gradients[here]), 0.0),
        len(gradients), first, k, rng,
    )  # fmt: skip


def ours(probabilities, states, k):
    return k_means_plus_plus(Points([output_gradients(probabilities), states]), k, np.random.default_rng(0))


def largest_gap(gradients, positions, distances, n_checked):
    """Largest relative difference of some picks' distances to those in float64 from the definition."""
    gaps = []
    for turn in np.linspace(1, len(positions) - 1, n_checked).astype(int):
        here = gradients[positions[turn]].astype(np.float64)
        exact = min(np.linalg.norm(here - gradients[before]) for before in positions[:turn])
        gaps.append(abs(distances[turn] - exact) / exact)
    return float(max(gaps))


def measure(n_classes, args):
    """One number of classes."""
    rng = np.random.default_rng(args.seed)
    centres = rng.normal(size=(args.centres, args.width))[rng.integers(args.centres, size=args.rows)]
    states = (centres + args.noise * rng.normal(size=centres.shape)).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(n_classes), args.rows).astype(np.float32)
    seconds, (positions, distances) = min(
        (cpu_seconds(lambda: ours(probabilities, states, args.picks)) for _ in range(3)), key=lambda turn: turn[0]
    )
    tracemalloc.start()
    ours(probabilities, states, args.picks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    deltas = output_gradients(probabilities)
    gradients = (deltas[:, :, None] * states[:, None]).reshape(args.rows, -1)
    scale = args.picks / args.peer_picks
    first = int(positions[0])
    by_call = cpu_seconds(lambda: distance_call_per_pick(gradients, args.peer_picks + 1, first, rng))[0] * scale
    by_product = cpu_seconds(lambda: product_per_pick(gradients, args.peer_picks + 1, first, rng))[0] * scale
    return {
        "classes": n_classes,
        "ours": round(seconds, 3),
        "distance_call_per_pick_extrapolated": round(by_call, 2),
        "product_per_pick_extrapolated": round(by_product, 2),
        "times_faster_than_distance_calls": round(by_call / seconds, 1),
        "times_faster_than_products": round(by_product / seconds, 1),
        "megabytes_beside_the_signals": round(peak / 1e6, 1),
        "megabytes_of_the_signals": round((states.nbytes + probabilities.nbytes) / 1e6, 1),
        "megabytes_of_the_gradients": round(gradients.nbytes / 1e6, 1),
        "largest_relative_difference_of_a_distance": float(f"{largest_gap(gradients, positions, distances, 10):.1e}"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=768, help="width of the last layer's input (default: %(default)s)")
    parser.add_argument("--centres", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.3, help="spread around a centre (default: %(default)s)")
    parser.add_argument("--picks", type=int, default=500)
    parser.add_argument("--peer_picks", type=int, default=10, help="picks the peers make (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    two, twenty = runs = [measure(2, args), measure(20, args)]
    memory = max(run["megabytes_beside_the_signals"] / run["megabytes_of_the_signals"] for run in runs)
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.badge.badge_speed", *sys.argv[1:]]),
        "unit": "CPU seconds (process_time), one thread; ours the best of 3 turns, peers once",
        "versions": {name: version(name) for name in ("numpy", "scikit-learn")},
        "settings": {name: value for name, value in vars(args).items() if name != "output"},
        "measured": runs,
        "goals": [
            goal("times faster than distance calls, 2 classes", 15, two["times_faster_than_distance_calls"]),
            goal("times faster than distance calls, 20 classes", 100, twenty["times_faster_than_distance_calls"]),
            goal("memory beside the signals, in units of the signals", 1, memory, at_least=False),
        ],
    }
    text = json.dumps(result, indent=2)
    args.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
