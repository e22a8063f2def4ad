"""How a benchmark measures and what it writes: CPU seconds, and goals with what was reached."""

import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "scikit-learn", "faiss-cpu")


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of all threads of this process, which other programs on the machine hardly touch, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def goal(name: str, wanted: float, measured: float, *, at_least: bool = True) -> dict[str, Any]:
    """A goal with what was measured."""
    reached = measured >= wanted if at_least else measured <= wanted
    return {"goal": name, "wanted": wanted, "measured": float(f"{measured:.4g}"), "reached": bool(reached)}


def write(path: Path, settings: dict[str, Any], measured: dict[str, Any], goals: list[dict[str, Any]]) -> None:
    """Write one JSON result, and print it."""
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "unit": "CPU seconds (process_time), one thread, one run",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "settings": settings,
        "measured": measured,
        "goals": goals,
    }
    text = json.dumps(result, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
