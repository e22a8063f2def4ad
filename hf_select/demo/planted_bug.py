"""The classification task of the demo: does a small function do what its docstring says, or was a fault planted in it?

Every function comes twice, as it was drawn and with one fault, so that half of the rows are faulty and nothing but the
fault tells the two apart::

    def f(xs):                                            label 0
        \"\"\"Return the sum of xs greater than 3.\"\"\"
        return sum(x for x in xs if x > 3)

    def f(xs):                                            label 1, fault "off_by_one"
        \"\"\"Return the sum of xs greater than 3.\"\"\"
        return sum(x for x in xs if x > 4)
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hf_select.demo.fault import FAULTS
from hf_select.demo.grammar import DemoTask, draw_task
from hf_select.errors import ConfigError

if TYPE_CHECKING:
    from datasets import Dataset

_MIX = (1, 2, 2)  # levels of the functions; three operations take the encoder of the demo too long to learn
_MAX_DRAWS_PER_FUNCTION = 200
_MAX_DRAWS_PER_FAULT = 50
_CORPUS_SEED = 1_000_003  # added to the seed: the corpus is other functions than the rows


def build_planted_bugs(seed: int = 0, n_rows: int = 3000) -> Dataset:
    """Generate the rows; the same arguments give the same rows on every machine.

    Args:
        seed: seeds a private generator; global random state stays untouched.
        n_rows: number of rows, an even number: two of each function.

    Returns:
        Rows in random order with the columns ``code``, ``label`` (1 = a fault was planted), ``function`` (the two rows
        of one function share it: keep them on one side of any split) and ``fault`` (its kind, empty for none).

    Raises:
        ConfigError: if ``n_rows`` is not an even number of at least 2, or the grammar has not that many functions.
    """
    if n_rows < 2 or n_rows % 2:
        raise ConfigError(f"n_rows={n_rows} is not an even number of at least 2: every function gives two rows.")
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number, (task, faulty, fault) in enumerate(_draw_pairs(rng, n_rows // 2)):
        rows.append({"code": _code(task), "label": 0, "function": number, "fault": ""})
        rows.append({"code": _code(faulty), "label": 1, "function": number, "fault": fault})
    rng.shuffle(rows)
    return _dataset(rows)


def draw_corpus(seed: int, n_functions: int, *, apart_from: Iterable[str]) -> list[str]:
    """Draw functions without a fault to pre-train an encoder on, as published encoders are on code.

    Args:
        seed: seeds a private generator.
        n_functions: how many.
        apart_from: code whose docstrings must not occur, for example all rows of the task.

    Returns:
        Their code; no two have one docstring.

    Raises:
        ConfigError: if the grammar has not that many functions.
    """
    rng = random.Random(_CORPUS_SEED + seed)
    taken = {_head(code) for code in apart_from}
    corpus: dict[str, str] = {}
    for _ in range(n_functions * _MAX_DRAWS_PER_FUNCTION):
        if len(corpus) == n_functions:
            return list(corpus.values())
        task = draw_task(rng, rng.choice(_MIX))
        if task.prompt not in taken:
            corpus.setdefault(task.prompt, _code(task))
    raise ConfigError(f"The grammar gave only {len(corpus)} of {n_functions} further functions; ask for fewer.")


def _draw_pairs(rng: random.Random, n: int) -> list[tuple[DemoTask, DemoTask, str]]:
    """Functions with different docstrings, each with a faulty side and the kind of its fault."""
    pairs: dict[str, tuple[DemoTask, DemoTask, str]] = {}
    for _ in range(n * _MAX_DRAWS_PER_FUNCTION):
        if len(pairs) == n:
            return list(pairs.values())
        task = draw_task(rng, rng.choice(_MIX))
        if task.prompt not in pairs and (planted := _plant_fault(rng, task, len(pairs))):
            pairs[task.prompt] = (task, *planted)
    raise ConfigError(f"The grammar gave only {len(pairs)} of {n} functions; ask for fewer rows.")


def _plant_fault(rng: random.Random, task: DemoTask, number: int) -> tuple[DemoTask, str] | None:
    """A body that fails the task's tests, the kinds of fault taking turns; ``None`` if the draws give none."""
    names = list(FAULTS)
    planned = names[number % len(names)]
    for name in [planned, *(other for other in names if other != planned)]:
        for _ in range(_MAX_DRAWS_PER_FAULT):
            body = FAULTS[name](rng, task)
            if body is not None and not (faulty := replace(task, body=body)).is_solved():
                return faulty, name
    return None


def _code(task: DemoTask) -> str:
    return task.prompt + task.solution


def _head(code: str) -> str:
    """Signature and docstring: the first two lines."""
    return "".join(code.splitlines(keepends=True)[:2])


def _dataset(rows: list[dict[str, Any]]) -> Dataset:
    from datasets import Dataset

    return Dataset.from_list(rows)
