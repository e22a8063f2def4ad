"""What every packing benchmark writes beside itself: versions, the command, the numbers, and the goals."""

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = ("numpy", "torch", "transformers", "datasets", "pyarrow", "trl")


def goal(what: str, wanted: str, measured: float, reached: bool) -> dict[str, Any]:
    """One goal with what came of it."""
    return {"what": what, "goal": wanted, "measured": float(f"{measured:.6g}"), "reached": bool(reached)}


def write(script: str, seeds: Sequence[int], results: Any, goals: list[dict[str, Any]]) -> None:
    """Print the goals and write ``<script>.json``."""
    name = Path(script).stem
    print()
    for entry in goals:
        verdict = "reached" if entry["reached"] else "MISSED "
        print(f"{verdict}  {entry['what']}: {entry['measured']} (goal {entry['goal']})")
    installed = {found.name: found.version for found in distributions() if found.name in PACKAGES}
    record = {
        "command": " ".join(["python", "-m", f"benchmarks.packing.{name}", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **installed},
        "machine": f"{platform.machine()}, one thread",
        "seeds": list(seeds),
        "goals": goals,
        "results": results,
    }
    path = HERE / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nwritten: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
