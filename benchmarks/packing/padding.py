"""How many tokens of a batch are padding: traditional, dynamic padding, CodeACT's next-fit, and ours.

python -m benchmarks.packing.padding
"""

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.packing.lengths import DISTRIBUTIONS, draw
from benchmarks.packing.record import goal, write
from hf_select.training import best_fit_decreasing, pack, padded_size

WINDOW = 8

Padded = Callable[[list[int], int], int]


def windowed(lengths: list[int], max_length: int) -> int:
    """Eight batches packed together, their rows dealt out by width, each batch padded to its own longest row."""
    widths = sorted(sum(lengths[i] for i in row) for row in pack(lengths, max_length))
    batches = [batch for batch in np.array_split(np.array(widths), WINDOW) if len(batch)]
    return int(sum(len(batch) * batch[-1] for batch in batches))


def whole(lengths: list[int], max_length: int) -> int:
    """The rows of a whole dataset, each padded to ``max_length``."""
    return (len(best_fit_decreasing(lengths, max_length).offsets) - 1) * max_length


COLLATIONS: dict[str, Padded] = {
    "pad to max_length": lambda lengths, max_length: len(lengths) * max_length,
    "pad to longest": lambda lengths, _: len(lengths) * max(lengths),
    "CodeACT next_fit": lambda lengths, max_length: padded_size(pack(lengths, max_length, "next_fit"), lengths),
    "ours, rows (multifit)": lambda lengths, max_length: padded_size(pack(lengths, max_length), lengths),
    "ours, flat": lambda lengths, _: sum(lengths),
}


def measure(batches: list[list[int]], max_length: int, padded: Padded) -> float:
    """Share of padding over all batches."""
    return 1 - sum(map(sum, batches)) / sum(padded(batch, max_length) for batch in batches)


def run(max_length: int, n_batches: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Padding fractions by distribution, batch size and collation."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in DISTRIBUTIONS:
        rng = np.random.default_rng(seed)
        lengths = draw(name, n_batches * 32, max_length, rng).tolist()
        table[name] = {}
        for size in (16, 32, 64, 512):
            batches = [lengths[i : i + size] for i in range(0, len(lengths), size)]
            table[name][f"batch {size}"] = {
                label: measure(batches, max_length, padded) for label, padded in COLLATIONS.items()
            }
        windows = [lengths[i : i + 32 * WINDOW] for i in range(0, len(lengths), 32 * WINDOW)]
        table[name]["batch 32"]["ours, rows, window of 8 batches"] = measure(windows, max_length, windowed)
        table[name]["whole dataset"] = {"ours, pack_dataset": measure([lengths], max_length, whole)}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_batches", type=int, default=512, help="batches of 32 (default 512; a multiple of 16)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    results = {f"max_length {cap}": run(cap, args.n_batches, args.seed) for cap in (4096, 2048)}
    for cap, table in results.items():
        for name, sizes in table.items():
            print(f"\n{cap}, {name}")
            for size, row in sizes.items():
                print(f"  {size:14s}" + "   ".join(f"{label} {value:.4f}" for label, value in row.items()))
    goals = []
    for name, sizes in results["max_length 4096"].items():
        row = sizes["batch 32"]
        share = row["ours, rows (multifit)"] / row["CodeACT next_fit"]
        goals.append(goal(f"{name}, 4096, batch 32: padding as a share of CodeACT's", "<= 0.1", share, share <= 0.1))
        share = row["ours, rows, window of 8 batches"]
        goals.append(
            goal(f"{name}, 4096, batch 32: padding with a window of 8 batches", "<= 0.003", share, share <= 0.003)
        )
    write(__file__, [args.seed], results, goals)


if __name__ == "__main__":
    main()
