"""What both benchmarks write: versions, the command, the numbers, and the goals."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "torch", "transformers")


def goal(what: str, wanted: float, measured: float, *, at_least: bool) -> dict[str, Any]:
    """One goal with what came of it."""
    reached = measured >= wanted if at_least else measured <= wanted
    sign = ">=" if at_least else "<="
    return {"what": what, "goal": f"{sign} {wanted}", "measured": float(f"{measured:.4g}"), "reached": bool(reached)}


def write(script: str, settings: dict[str, Any], results: Any, goals: list[dict[str, Any]]) -> None:
    """Print the goals and write ``<script>.json``."""
    path = Path(script).with_suffix(".json")
    for entry in goals:
        print(f"{'reached' if entry['reached'] else 'MISSED '}  {entry['what']}: {entry['measured']} ({entry['goal']})")
    record = {
        "command": shlex.join(["python", "-m", f"benchmarks.discore.{path.stem}", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": f"{platform.machine()}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}",
        "settings": settings,
        "goals": goals,
        "results": results,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
