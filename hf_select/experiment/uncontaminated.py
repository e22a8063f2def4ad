"""pass@1 on the problems of which a model was not shown any row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

CLEAN_MEASURES = ("n_leaked_problems", "n_uncontaminated", "pass_at_1_uncontaminated")
"""What is measured besides of a benchmark whose problems were looked for in the rows."""


def uncontaminated(
    benchmarks: Mapping[str, Mapping[str, Any]], leaked: Mapping[str, Collection[str]], samples: Path
) -> dict[str, dict[str, Any]]:
    """The measures of every benchmark, with those of its problems that the training rows do not hold.

    Args:
        benchmarks: the evaluation of each benchmark, as plain data.
        leaked: task ids of the problems that the training rows hold, by benchmark; for all benchmarks that were looked
            for.
        samples: folder of the samples of the evaluation, one file ``BENCHMARK.jsonl`` each.

    Returns:
        The same, with ``n_leaked_problems``, ``n_uncontaminated`` and ``pass_at_1_uncontaminated`` (``None`` where
        nothing was executed, or nothing is left) for the benchmarks that were looked for.
    """
    return {
        name: {**measures, **(without_leaked(_read(samples / f"{name}.jsonl"), leaked[name]) if name in leaked else {})}
        for name, measures in benchmarks.items()
    }


def without_leaked(passed: Mapping[str, Sequence[bool | None]], leaked: Collection[str]) -> dict[str, Any]:
    """pass@1 on the problems that did not leak.

    Args:
        passed: what became of the samples of every problem, by task id; ``None`` where one was not executed.
        leaked: task ids of the problems that the training rows hold.

    Returns:
        ``n_leaked_problems``, ``n_uncontaminated`` and ``pass_at_1_uncontaminated`` (``None`` where nothing was
        executed, or nothing is left).
    """
    clean = [found for task_id, found in passed.items() if task_id not in leaked]
    is_known = bool(clean) and all(one is not None for found in clean for one in found)
    shares = [sum(map(bool, found)) / len(found) for found in clean] if is_known else []
    return {
        "n_leaked_problems": len(passed) - len(clean),
        "n_uncontaminated": len(clean),
        "pass_at_1_uncontaminated": sum(shares) / len(shares) if shares else None,
    }


def _read(path: Path) -> dict[str, list[bool | None]]:
    passed: dict[str, list[bool | None]] = defaultdict(list)
    for line in path.read_text(encoding="ascii").splitlines():
        sample = json.loads(line)
        passed[sample["task_id"]].append(sample["passed"])
    return passed
