"""The pool of the demo: training rows with planted junk, held-out rows, held-out problems in the form of HumanEval."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hf_select.demo.fault import FAULTS
from hf_select.demo.grammar import DemoTask, draw_task, draw_trivial
from hf_select.errors import ConfigError

if TYPE_CHECKING:
    from datasets import Dataset

_MIX = (1, 2, 2, 3, 3, 3)  # levels of the training rows
_HELD_OUT_MIX = (2, 2, 3, 3, 3)  # level 1 has too few bodies to hold any out
_MAX_DRAWS_PER_TASK = 200
_MAX_DRAWS_PER_FAULT = 200


@dataclass(frozen=True)
class DemoPool:
    """A world in which everything can be measured.

    Attributes:
        train: rows with the columns ``prompt``, ``completion``, ``instruction``, ``tests``, ``entry_point``, ``level``,
            ``origin`` (``ok``, ``wrong``, ``duplicate``, ``trivial``) and ``fault`` (what is wrong, empty if nothing).
        validation: held-out rows of the same form, all correct.
        problems: held-out tasks in the form of HumanEval (``task_id``, ``prompt``, ``entry_point``,
            ``canonical_solution``, ``test``), other ones than those of ``validation``.
    """

    train: Dataset
    validation: Dataset
    problems: list[dict[str, str]]

    @property
    def junk_fraction(self) -> float:
        """Share of the training rows that were planted as junk: wrong, duplicate or trivial."""
        origins = list(self.train["origin"])
        return 1 - origins.count("ok") / len(origins)


@dataclass(frozen=True)
class _PoolRow:
    task: DemoTask
    origin: str
    fault: str = ""


def build_pool(
    seed: int = 0,
    n_rows: int = 3000,
    wrong: float = 0.15,
    duplicate: float = 0.2,
    trivial: float = 0.2,
    n_test: int = 200,
    n_validation: int = 200,
) -> DemoPool:
    """Generate a pool; the same arguments give the same pool on every machine.

    Neither a prompt nor a body of a held-out task occurs among the training rows, wrong rows included. Duplicates are
    exact and fall on few rows (Pareto, exponent 0.7), as in crawled data.

    Args:
        seed: seeds a private generator; global random state stays untouched.
        n_rows: number of training rows.
        wrong: fraction of rows whose completion fails the row's tests.
        duplicate: fraction of rows that repeat a correct row.
        trivial: fraction of rows that teach nothing; they repeat each other as well.
        n_test: number of held-out problems.
        n_validation: number of held-out rows.

    Returns:
        The pool, its training rows in random order.

    Raises:
        ConfigError: if a number is not positive, the fractions leave no correct row, or the grammar has not that many
            different tasks.
    """
    counts = _counts(n_rows, wrong=wrong, duplicate=duplicate, trivial=trivial)
    if n_test < 1 or n_validation < 1:
        raise ConfigError(f"n_test={n_test} and n_validation={n_validation} must be at least 1.")
    rng = random.Random(seed)
    held_out = _draw_held_out(rng, n_test + n_validation)
    held_out_bodies = {task.body for task in held_out}
    held_out_prompts = {task.prompt for task in held_out}

    correct = _draw_rows(rng, counts["ok"] + counts["wrong"], held_out_bodies, held_out_prompts)
    faulty = correct[: counts["wrong"]]
    ok = correct[counts["wrong"] :]
    rows = [_PoolRow(task, "ok") for task in ok]
    rows += [_plant_fault(rng, task, number, held_out_bodies) for number, task in enumerate(faulty)]
    rows += [_PoolRow(draw_trivial(rng), "trivial") for _ in range(counts["trivial"])]
    rows += [_PoolRow(_often_the_same(rng, ok), "duplicate") for _ in range(counts["duplicate"])]
    rng.shuffle(rows)

    return DemoPool(
        train=_dataset(rows),
        validation=_dataset(_PoolRow(task, "ok") for task in held_out[n_test:]),
        problems=[_problem(number, task) for number, task in enumerate(held_out[:n_test])],
    )


def _counts(n_rows: int, **fractions: float) -> dict[str, int]:
    """Rows of each origin."""
    if n_rows < 1 or any(not 0 <= fraction <= 1 for fraction in fractions.values()):
        raise ConfigError(f"n_rows={n_rows} must be at least 1 and {fractions} must be fractions in [0, 1].")
    counts = {origin: round(n_rows * fraction) for origin, fraction in fractions.items()}
    counts["ok"] = n_rows - sum(counts.values())
    if counts["ok"] < 1:
        raise ConfigError(f"The fractions {fractions} leave no correct row of {n_rows}; their sum must be below 1.")
    return counts


def _draw_held_out(rng: random.Random, n: int) -> list[DemoTask]:
    """Tasks of level 2 and 3 with different bodies."""
    tasks: dict[str, DemoTask] = {}
    for _ in range(n * _MAX_DRAWS_PER_TASK):
        if len(tasks) == n:
            return list(tasks.values())
        task = draw_task(rng, rng.choice(_HELD_OUT_MIX))
        tasks.setdefault(task.body, task)
    raise ConfigError(f"The grammar gave only {len(tasks)} of {n} held-out tasks; ask for fewer.")


def _draw_rows(rng: random.Random, n: int, bodies: set[str], prompts: set[str]) -> list[DemoTask]:
    """Tasks with different instructions and none of the held-out ``bodies`` and ``prompts``."""
    tasks: dict[str, DemoTask] = {}
    for _ in range(n * _MAX_DRAWS_PER_TASK):
        if len(tasks) == n:
            return list(tasks.values())
        task = draw_task(rng, rng.choice(_MIX))
        if task.body not in bodies and task.prompt not in prompts:
            tasks.setdefault(task.prompt, task)
    raise ConfigError(f"The grammar gave only {len(tasks)} of {n} training rows; ask for fewer.")


def _plant_fault(rng: random.Random, task: DemoTask, number: int, held_out_bodies: set[str]) -> _PoolRow:
    """Give a task a body that fails its tests; the kinds of fault take turns, another kind where one cannot be had."""
    names = list(FAULTS)
    planned = names[number % len(names)]
    for name in [planned, *(other for other in names if other != planned)]:
        for _ in range(_MAX_DRAWS_PER_FAULT):
            body = FAULTS[name](rng, task)
            if body is None or body in held_out_bodies:
                continue
            wrong = replace(task, body=body)
            if not wrong.is_solved():
                return _PoolRow(wrong, "wrong", name)
    raise ConfigError(
        f"No wrong body was found for {task.instruction!r} in {_MAX_DRAWS_PER_FAULT} draws of each fault."
    )


def _often_the_same(rng: random.Random, tasks: list[DemoTask]) -> DemoTask:
    return tasks[min(int(rng.paretovariate(0.7)) - 1, len(tasks) - 1)]


def _dataset(rows: Iterable[_PoolRow]) -> Dataset:
    from datasets import Dataset

    return Dataset.from_list([_record(row) for row in rows])


def _record(row: _PoolRow) -> dict[str, Any]:
    return {
        "prompt": row.task.prompt,
        "completion": row.task.solution,
        "instruction": row.task.instruction,
        "tests": row.task.tests,
        "entry_point": row.task.entry_point,
        "level": row.task.level,
        "origin": row.origin,
        "fault": row.fault,
    }


def _problem(number: int, task: DemoTask) -> dict[str, str]:
    return {
        "task_id": f"demo/level_{task.level}/{number}",
        "prompt": task.prompt,
        "entry_point": task.entry_point,
        "canonical_solution": task.solution,
        "test": task.tests,
    }
