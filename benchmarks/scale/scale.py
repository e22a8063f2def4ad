"""Select from a large pool by every row-wise method and by four set methods, each within a limit of memory.

    python -m benchmarks.scale.scale --rows 20000 --output runs/scale_20k.json   # a check, minutes
    python -m benchmarks.scale.scale                                             # 1,000,000 rows

Every method runs in a process of its own, one after another. What is measured is written after each, and a run that is
started again goes on with the methods that are missing; other settings need another output file.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.scale.pool import build, row_wise

ROOT = Path(__file__).resolve().parents[2]
SET_METHODS = ("k_means", "cdas", "bm25", "core_set")
FIELDS: dict[str, dict[str, object]] = {"core_set": {"n_shards": 16}}


def main() -> int:
    args = parse()
    methods = args.methods.split(",") if args.methods else [*row_wise(), *SET_METHODS]
    settings = {name: getattr(args, name) for name in ("rows", "dims", "budget", "seed", "max_gb")}
    record = _begun(args.output, settings)
    pool, reference = build(args.data, args.rows, args.dims, args.seed, sorted({*row_wise(), *SET_METHODS}))
    record["pool_bytes"] = pool.stat().st_size
    missing = [name for name in methods if name not in record["measured"]]
    for name in (bar := tqdm(missing, desc="Selecting", unit="method")):
        bar.set_postfix_str(name)
        record["measured"][name] = {"fields": FIELDS.get(name, {}), **_measure(pool, reference, name, args)}
        _write(args.output, record)
    _write(args.output, record)
    failed = [name for name in methods if not record["measured"][name].get("within_limit")]
    for name in methods:
        print(f"{name:20s} {_told(record['measured'][name])}")
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the pool (default: %(default)s)")
    parser.add_argument("--dims", type=int, default=64, help="width of the embedding (default: %(default)s)")
    parser.add_argument("--methods", default="", help="names, by commas (default: all row-wise, and four set methods)")
    parser.add_argument("--budget", default="1%", help="what is picked (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max_gb", type=float, default=8.0, help="memory of a method (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path("runs") / "scale", help="where the pool lies, 1 GB a million")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def _begun(output: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The record of an earlier run with the same settings, else a new one."""
    if output.is_file():
        record: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
        if record["settings"] != settings:
            sys.exit(f"{output} was measured with {record['settings']}; give another --output, or remove it.")
        return record
    return {
        "command": shlex.join(["python", "-m", "benchmarks.scale.scale", *sys.argv[1:]]),
        "unit": "CPU seconds (process_time) of select() on one thread; peak_mb is ru_maxrss of the whole process",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "scikit-learn", "datasets", "pyarrow")},
        },
        "machine": platform.machine(),
        "settings": settings,
        "measured": {},
    }


def _measure(pool: Path, reference: Path, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One method in a process of its own."""
    asked = json.dumps({"name": name, **FIELDS.get(name, {})})
    words = ["--pool", str(pool.resolve()), "--reference", str(reference.resolve()), "--method", asked]
    command = [sys.executable, "-m", "benchmarks.scale.task", *words, "--budget", args.budget]
    done = subprocess.run(
        [*command, "--max_gb", str(args.max_gb)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no word"])[-1], "within_limit": False}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sound = found["all_finite"] and found["n_picks"] == found["n_distinct_picks"] > 0
    return {**found, "within_limit": bool(sound and found["peak_mb"] <= args.max_gb * 1024)}


def _write(output: Path, record: dict[str, Any]) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_suffix(".part")
    part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    part.replace(output)


def _told(found: dict[str, Any]) -> str:
    if "error" in found:
        return found["error"]
    return f"{found['cpu_seconds']:9.1f} CPU s {found['peak_mb']:9.1f} MB {found['n_picks']:8d} picks"


if __name__ == "__main__":
    sys.exit(main())
