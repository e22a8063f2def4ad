"""Shared by the tests of the evaluation: one open sandbox, and tiny problems."""

from collections.abc import Iterator

import pytest

from hf_select.evaluation.problem import Problem
from hf_select.evaluation.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(n_workers=2, timeout=5.0, allow_code_eval=True) as opened:
        yield opened


@pytest.fixture
def increment() -> Problem:
    return Problem(
        task_id="Tiny/0",
        prompt='from typing import List\n\n\ndef increment(x):\n    """Add one."""\n',
        entry_point="increment",
        canonical_solution="    return x + 1\n",
        tests=(
            "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(5) == 6\n",
            "check(increment)",
        ),
    )
