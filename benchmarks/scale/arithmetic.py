"""The arithmetic from what was measured to a pool of any size: the tables of docs/scale.md.

    python -m benchmarks.scale.arithmetic --flops_per_second RATE

Every number is a formula over ``scale.json``, which is read, and over the model and the rate that are given. The rate
of an accelerator is measured by ``python -m benchmarks.ifd.ifd_speed --device cuda``; without one, operations are told
and no hours.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROW_WISE = "rows alone: shards scored apart, the best of their best is exact"
SHARDED = {
    "k_means": "built in: strata above `max_clusters`, then each stratum alone",
    "core_set": "built in: `n_shards`, at most 4 times the best radius",
    "cdas": "not built in: strata of a sample, rows assigned shard by shard, best of each stratum",
    "bm25": "not built in: document frequencies summed over shards, then rows alone",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, default=HERE / "scale.json")
    parser.add_argument("--rows", type=float, default=1e9, help="rows to carry it on to (default: %(default)g)")
    parser.add_argument("--tokens", type=float, default=500, help="tokens of a row (default: %(default)g)")
    parser.add_argument(
        "--parameters", type=float, default=1.3e9, help="of the model that scores (default: %(default)g)"
    )
    parser.add_argument("--dims", type=int, default=768, help="width of the embedding (default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=16, help="nodes of 8 accelerators (default: %(default)s)")
    parser.add_argument("--flops_per_second", type=float, help="measured rate of one accelerator")
    args = parser.parse_args()
    print("\n\n".join((passes(args), signals(args), methods(args))))


def passes(args: argparse.Namespace) -> str:
    """What the passes cost: a forward pass takes 2 operations per parameter and token."""
    n_tokens = args.rows * args.tokens
    forward = 2 * args.parameters * n_tokens
    lines = ["| pass | formula | operations | accelerator hours | hours on the nodes |", "|---|---|---:|---:|---:|"]
    for name, formula, flops in (
        ("forward", "2 P T", forward),
        ("answer alone (half of the tokens)", "2 P T / 2", forward / 2),
        ("gradients (`less`, per checkpoint)", "6 P T", 3 * forward),
    ):
        hours = flops / args.flops_per_second / 3600 if args.flops_per_second else None
        told = ("give a rate", "give a rate") if hours is None else (f"{hours:,.0f}", f"{hours / 8 / args.nodes:,.1f}")
        lines.append(f"| {name} | {formula} | {flops:.2e} | {told[0]} | {told[1]} |")
    return f"P = {args.parameters:g} parameters, T = {n_tokens:.3g} tokens, {args.nodes} nodes of 8.\n\n" + "\n".join(
        lines
    )


def signals(args: argparse.Namespace) -> str:
    """What the signals take on disk."""
    lines = ["| signals | formula | bytes |", "|---|---|---:|"]
    for name, formula, n_bytes in (
        ("one number of a row (a loss, a length)", "4 N", 4 * args.rows),
        ("embedding, float32", "4 N D", 4 * args.rows * args.dims),
        ("embedding, float16", "2 N D", 2 * args.rows * args.dims),
        ("picks of 1 %: row id and score", "16 N / 100", 0.16 * args.rows),
    ):
        lines.append(f"| {name} | {formula} | {_size(n_bytes)} |")
    return f"N = {args.rows:g} rows, D = {args.dims}.\n\n" + "\n".join(lines)


def methods(args: argparse.Namespace) -> str:
    """What picking takes, carried on linearly: one core for each shard of the measured size."""
    if not args.measured.is_file():
        return f"{args.measured} is not there: run python -m benchmarks.scale.scale first."
    record: dict[str, Any] = json.loads(args.measured.read_text(encoding="utf-8"))
    n_measured = record["settings"]["rows"]
    n_shards = math.ceil(args.rows / n_measured)
    lines = [
        f"Measured on {n_measured:,} rows and one core; {args.rows:g} rows are {n_shards:,} such shards.",
        "",
        "| method | CPU s, measured | peak MB, measured | core hours over all shards | sharded form |",
        "|---|---:|---:|---:|---|",
    ]
    for name, found in record["measured"].items():
        if "error" in found:
            lines.append(f"| `{name}` | {found['error'][:60]} | | | |")
            continue
        hours = found["cpu_seconds"] * n_shards / 3600
        form = SHARDED.get(name, ROW_WISE)
        lines.append(f"| `{name}` | {found['cpu_seconds']:,.1f} | {found['peak_mb']:,.0f} | {hours:,.1f} | {form} |")
    return "\n".join(lines)


def _size(n_bytes: float) -> str:
    power = min(4, int(math.log(max(n_bytes, 1), 1000)))
    return f"{n_bytes / 1000**power:,.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


if __name__ == "__main__":
    main()
