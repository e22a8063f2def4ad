"""Time BatchBALD against the reference's own loop, and measure its memory.

    python benchmarks/batch_bald/batch_bald.py

The loop is written here from the description of batchbald_redux: float64, chunks of 1,024 candidates, one matrix
product per candidate, all candidates at every pick, and, once the labels of the picks cannot be listed any more, all
configurations drawn anew at every pick.
"""

import argparse
import json
import math
import os
import platform
import shlex
import sys
import time
import tracemalloc
import warnings
from importlib.metadata import version
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy is loaded

import numpy as np
import torch

from hf_select.methods.uncertainty.batch_bald import BatchBALD
from hf_select.methods.uncertainty.joint_information import Configurations
from hf_select.methods.uncertainty.probability import mutual_information
from hf_select.signals.keys import stochastic_probabilities
from hf_select.signals.table import Signals

CHUNK = 1024


def logistic_pool(n_rows, n_samples, n_features=16, spread=0.35, scale=2.0):
    """What samples of one logistic model say of rows: neighbours are disagreed about alike, most rows hardly at all."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_rows, n_features))
    weights = scale * rng.normal(size=n_features) + 2 * spread * rng.normal(size=(n_samples, n_features))
    second = 1 / (1 + np.exp(-rows @ weights.T))
    return np.stack([1 - second, second], axis=2)


def random_pool(n_rows, n_samples):
    """Rows that have nothing to do with each other and are all about as uncertain: the hardest case for bounds."""
    return np.random.default_rng(0).dirichlet(np.ones(2), size=(n_rows, n_samples))


def reference_loop(probabilities, k, n_configurations):
    """The reference's own loop.

    Args:
        probabilities: ``(N, S, C)``.
        k: picks.
        n_configurations: configurations that are listed, then drawn.

    Returns:
        Picks.
    """
    torch.manual_seed(0)
    pool = torch.as_tensor(probabilities).clamp_min(1e-30)
    n_rows, n_samples, n_classes = pool.shape
    given_sample = -(pool * pool.log()).sum(dim=(1, 2)) / n_samples
    joint, is_exact = torch.ones(1, n_samples, dtype=torch.float64), True
    entropies = torch.empty(n_rows, dtype=torch.float64)
    picks = []
    while True:
        for start in range(0, n_rows, CHUNK):
            entropies[start : start + CHUNK] = joint_entropies(joint, pool[start : start + CHUNK], is_exact)
        scores = entropies - given_sample - given_sample[picks].sum()
        scores[picks] = -math.inf
        picks.append(int(scores.argmax()))
        if len(picks) == k:
            return np.array(picks)
        is_exact = n_classes ** len(picks) <= n_configurations
        if is_exact:
            joint = (joint[:, None, :] * pool[picks[-1]].T).reshape(-1, n_samples)
        else:
            joint = draw(pool[picks], n_configurations // n_samples)


def joint_entropies(joint, candidates, is_exact):
    """Entropy of the picks' labels with that of each candidate, from ``(M, S)`` likelihoods of configurations."""
    likelihoods = torch.empty(len(candidates), len(joint), candidates.shape[2], dtype=torch.float64)
    for number, candidate in enumerate(candidates):
        torch.matmul(joint, candidate, out=likelihoods[number])
    likelihoods /= joint.shape[1]
    surprise = -likelihoods * likelihoods.log()
    if is_exact:
        return surprise.sum(dim=(1, 2))
    return (surprise / joint.mean(dim=1)[None, :, None]).sum(dim=(1, 2)) / len(joint)


def draw(chosen, n_draws):
    """Likelihoods ``(M, S)`` of labels that are drawn ``n_draws`` times for each sample."""
    n_samples = chosen.shape[1]
    logarithms = torch.zeros(n_samples, n_samples * n_draws, dtype=torch.float64)
    for row in chosen:
        labels = torch.multinomial(row, n_draws, replacement=True)
        logarithms += row.log()[:, labels.flatten()]
    return logarithms.exp().T.contiguous()


def ours(probabilities, k, n_configurations):
    """Picks of ``BatchBALD``, without its warnings."""
    signal = stochastic_probabilities(probabilities.shape[1])
    method = BatchBALD(n_samples=probabilities.shape[1], n_configurations=n_configurations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method.pick(Signals({signal: probabilities}), k, np.random.default_rng(0))


def best_of(n_runs, work):
    """Least CPU seconds of all threads of this process over some runs, and the last result."""
    seconds = []
    for _ in range(n_runs):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def joint_information(probabilities, picks):
    """Nats that picks tell about the sample, exact."""
    table = Configurations(probabilities, 1 << 20, np.random.default_rng(0))
    total = 0.0
    for row in picks:
        total += table.gains(np.array([row]))[0]
        table.add(int(row))
    assert table.are_exact
    return float(total)


def compare(probabilities, k, n_configurations, n_runs):
    """Both on one pool: seconds, how far the picks are the same, and what they tell."""
    own_seconds, own = best_of(n_runs, lambda: ours(probabilities, k, n_configurations))
    reference_seconds, reference = best_of(n_runs, lambda: reference_loop(probabilities, k, n_configurations))
    n_exact = min(k, 1 + int(math.log(n_configurations, probabilities.shape[2])))
    return {
        "rows": len(probabilities),
        "picks": k,
        "n_configurations": n_configurations,
        "reference_loop": round(reference_seconds, 3),
        "batch_bald": round(own_seconds, 3),
        "times_faster": float(f"{reference_seconds / own_seconds:.3g}"),
        "exact_picks": n_exact,
        "exact_picks_equal": int((own.indices[:n_exact] == reference[:n_exact]).sum()),
        "joint_information": float(f"{joint_information(probabilities, own.indices):.5g}"),
        "joint_information_of_reference": float(f"{joint_information(probabilities, reference):.5g}"),
    }


def whole(probabilities, k):
    """A batch at the default number of configurations: seconds, and most memory above that of the signals."""
    seconds, picks = best_of(1, lambda: ours(probabilities, k, BatchBALD().n_configurations))
    tracemalloc.start()
    ours(probabilities, k, BatchBALD().n_configurations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    filled = picks.scores == mutual_information(probabilities)[picks.indices]
    return {
        "rows": len(probabilities),
        "picks": k,
        "n_configurations": BatchBALD().n_configurations,
        "batch_bald": round(seconds, 2),
        "peak_mb": round(peak / 1e6, 1),
        "picks_before_no_row_adds_more": 1 + int(np.argmax(filled[1:])),
    }


def goal(name, wanted, measured, *, at_least=True):
    reached = measured >= wanted if at_least else measured <= wanted
    return {"goal": name, "wanted": wanted, "measured": measured, "reached": bool(reached)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_samples", type=int, default=20, help="samples of the model (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the fastest counts (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    torch.set_num_threads(1)
    small = compare(logistic_pool(4000, args.n_samples), 12, 512, args.runs)
    unrelated = compare(random_pool(4000, args.n_samples), 12, 512, args.runs)
    large = logistic_pool(20_000, args.n_samples)
    at_size = compare(large, 16, BatchBALD().n_configurations, 1)
    batch = whole(large, 100)
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "unit": "CPU seconds (process_time), one thread",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "torch")},
        },
        "settings": {"n_samples": args.n_samples, "classes": 2, "runs": args.runs},
        "measured": {"small": small, "unrelated_rows": unrelated, "large": at_size, "whole_batch": batch},
        "goals": [
            goal("times faster than the reference's own loop, 4,000 rows", 20, small["times_faster"]),
            goal("times faster than the reference's own loop, 20,000 rows", 20, at_size["times_faster"]),
            goal(
                "picks that differ while exact",
                0,
                sum(run["exact_picks"] - run["exact_picks_equal"] for run in (small, unrelated, at_size)),
                at_least=False,
            ),
            goal("peak memory in MB, 20,000 rows x 20 samples", 64, batch["peak_mb"], at_least=False),
        ],
    }
    text = json.dumps(result, indent=2)
    args.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
