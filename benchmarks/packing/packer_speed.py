"""CPU seconds to pack a whole dataset: ours against the best-fit loop and the pack_dataset of TRL.

python -m benchmarks.packing.packer_speed
"""

import os

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")  # before numpy and torch read them

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from trl.data_utils import _SegmentTree
from trl.data_utils import pack_dataset as trl_pack_dataset

from benchmarks.packing.lengths import DISTRIBUTIONS, draw
from benchmarks.packing.record import goal, write
from hf_select.training import best_fit_decreasing, pack_dataset


def segment_tree_rows(lengths: Any, max_length: int) -> int:
    """Best-fit decreasing one sample at a time, over TRL's segment tree; the number of rows."""
    tree = _SegmentTree(max_length)
    tree.add(max_length)
    by_room: dict[int, list[list[int]]] = defaultdict(list)
    rows = []
    order = np.argsort(-lengths, kind="stable")
    for i, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        room = tree.search(length)
        if room < max_length:
            row = by_room[room].pop()
            if not by_room[room]:
                tree.remove(room)
        else:
            row = []
            rows.append(row)
        row.append(i)
        if room > length:
            by_room[room - length].append(row)
            tree.add(room - length)
    return len(rows)


def our_rows(lengths: Any, max_length: int) -> int:
    """The number of rows of our packer."""
    return len(best_fit_decreasing(lengths, max_length).offsets) - 1


def interleaved(contestants: dict[str, Callable[[], int]], rounds: int) -> dict[str, dict[str, float]]:
    """Least CPU seconds of each, measured in turns after one that warms up, and the number of rows it made."""
    found: dict[str, dict[str, float]] = {name: {"cpu_seconds": float("inf")} for name in contestants}
    for turn in range(rounds + 1):
        for name, call in contestants.items():
            start = time.process_time()
            found[name]["n_rows"] = call()
            if turn:
                found[name]["cpu_seconds"] = min(found[name]["cpu_seconds"], time.process_time() - start)
    return found


def packers(n: int, rounds: int, seed: int) -> list[dict[str, Any]]:
    """The packers alone, on lengths."""
    entries = []
    for max_length, name in ((4096, "EVOL-like"), (2048, "OSS-like")):
        lengths = draw(name, n, max_length, np.random.default_rng(seed))
        contestants = {
            "ours": lambda lengths=lengths, cap=max_length: our_rows(lengths, cap),
            "TRL's segment tree": lambda lengths=lengths, cap=max_length: segment_tree_rows(lengths, cap),
        }
        entry: dict[str, Any] = {"lengths": name, "max_length": max_length, "n": n, **interleaved(contestants, rounds)}
        entry["speedup"] = entry["TRL's segment tree"]["cpu_seconds"] / entry["ours"]["cpu_seconds"]
        entry["rows_over_bound"] = entry["ours"]["n_rows"] / -(-int(lengths.sum()) // max_length)
        entries.append(entry)
    return entries


def end_to_end(n: int, rounds: int, seed: int, token_dtype: str, max_length: int = 2048) -> dict[str, Any]:
    """Tokens in, dataset of rows out."""
    rng = np.random.default_rng(seed)
    lengths = draw("OSS-like", n, max_length, rng)
    tokens = pa.array(rng.integers(0, 32_000, int(lengths.sum()), dtype=token_dtype))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    dataset = datasets.Dataset(pa.table({"input_ids": pa.ListArray.from_arrays(offsets, tokens)}))
    contestants = {
        "ours": lambda: len(pack_dataset(dataset, max_length)),
        "TRL, its default (maps of 1000)": lambda: len(trl_pack_dataset(dataset, max_length, "bfd")),
        "TRL, one map of all": lambda: len(trl_pack_dataset(dataset, max_length, "bfd", {"batch_size": n})),
    }
    entry: dict[str, Any] = {
        "n": n,
        "token_dtype": token_dtype,
        "n_tokens": int(lengths.sum()),
        "max_length": max_length,
    }
    entry |= interleaved(contestants, rounds)
    for name in list(contestants)[1:]:
        entry[name]["speedup_of_ours"] = entry[name]["cpu_seconds"] / entry["ours"]["cpu_seconds"]
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000, help="samples for the packers alone (default 1000000)")
    parser.add_argument("--n_samples", type=int, default=50_000, help="samples end to end (default 50000)")
    parser.add_argument("--token_dtype", default="int32", help="default int32, what datasets makes of input_ids")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant, the least counts (default 5)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pa.set_cpu_count(1)
    datasets.disable_progress_bars()
    assert set(DISTRIBUTIONS) == {"OSS-like", "EVOL-like"}
    whole, alone = (
        end_to_end(args.n_samples, args.rounds, args.seed, args.token_dtype),
        packers(args.n, args.rounds, args.seed),
    )
    goals = []
    for entry in alone:
        ours, trl = entry["ours"], entry["TRL's segment tree"]
        where = f"{entry['lengths']}, {entry['max_length']}, {entry['n']} lengths"
        print(
            f"{where}: ours {ours['cpu_seconds']:.3f} s, TRL's loop {trl['cpu_seconds']:.2f} s "
            f"({entry['speedup']:.1f}x), rows {ours['n_rows']} and {trl['n_rows']}"
        )
        goals.append(goal(f"{where}: speed over TRL's loop", ">= 20", entry["speedup"], entry["speedup"] >= 20))
        more = ours["n_rows"] - trl["n_rows"]
        goals.append(goal(f"{where}: rows more than TRL's", "0", more, more == 0))
    bound = alone[0]["rows_over_bound"]
    goals.append(goal("EVOL-like, 4096: rows over the lower bound", "<= 1.001", bound, bound <= 1.001))
    for name in ("ours", "TRL, its default (maps of 1000)", "TRL, one map of all"):
        print(f"end to end, {whole['n']} samples: {name}: {whole[name]}")
    speedup = whole["TRL, its default (maps of 1000)"]["speedup_of_ours"]
    goals.append(goal("end to end, 50k samples: speed over trl.pack_dataset", ">= 6", speedup, speedup >= 6))
    write(__file__, [args.seed], {"packers": alone, "end_to_end": whole}, goals)


if __name__ == "__main__":
    main()
