"""What is promised of verdicts as a whole: no forged pass, no flip, every Python, an end in time with nothing left."""

import os
import sys
import tempfile
import time

import pytest

from hf_select.evaluation import load_humaneval
from hf_select.evaluation.sandbox import Sandbox, choose_level
from hf_select.evaluation.sandbox.jail import MAX_STRETCH, adopt_orphans
from hf_select.evaluation.sandbox.kernel import prctl
from hf_select.evaluation.sandbox.process import descendants
from tests.evaluation.sandbox.hostile import CORPUS
from tests.evaluation.sandbox.hostile.forged import FORGERIES
from tests.evaluation.sandbox.test_interpreters import VERSIONS, interpreter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_PR_SET_CHILD_SUBREAPER = 36


@pytest.mark.parametrize("name", ["frames", "equal_to_everything", "decorator", "exit_zero_when_loaded"])
def test_a_constant_completion_passes_none_of_humaneval(sandbox, name):
    problems = load_humaneval()
    programs = [problem.program(FORGERIES[name].format(entry=problem.entry_point)) for problem in problems]
    verdicts = sandbox.check_many(programs, progress=False)
    assert len(verdicts) == 164
    assert [problem.task_id for problem, verdict in zip(problems, verdicts, strict=True) if verdict.passed] == []
    assert {verdict.status for verdict in verdicts} <= {"failed", "crashed", "timeout"}


def test_verdicts_are_the_same_over_runs_and_numbers_of_workers():
    problems = load_humaneval()
    programs = [
        problem.program(problem.prompt if number % 4 == 0 else problem.solution)
        for number, problem in enumerate(problems)
    ]
    found = []
    for n_workers in (2, 8) * 3:
        with Sandbox(n_workers=n_workers, allow_code_eval=True) as sandbox:
            found.append([verdict.status for verdict in sandbox.check_many(programs, progress=False)])
    assert len(found) == 6
    assert found == [found[0]] * 6
    assert (found[0].count("passed"), found[0].count("failed")) == (123, 41)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_solutions_of_humaneval_pass_on(version, monkeypatch):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    choose_level()  # tried by this Python
    monkeypatch.setattr(sys, "executable", python)
    problems = load_humaneval()
    with Sandbox(site_packages=False, n_workers=2, allow_code_eval=True) as sandbox:
        verdicts = sandbox.check_many([problem.program(problem.solution) for problem in problems], progress=False)
    assert len(verdicts) == 164
    assert {
        problem.task_id: verdict for problem, verdict in zip(problems, verdicts, strict=True) if not verdict.passed
    } == {}


def test_every_program_that_does_not_end_is_ended_and_leaves_nothing(tmp_path, monkeypatch):
    """The deadline is the limit and the time that the program waited for a processor, at most three limits."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    programs = {name: code for kind in ("time_limit", "processes") for name, code in CORPUS[kind].items()}
    tests = (
        "outside = {'folder': '/nonexistent', 'secret': '/nonexistent', 'victim': 4194303}\nf(outside)\nassert False"
    )
    adopt_orphans()
    before = set(descendants(os.getpid()))
    try:
        with Sandbox(n_workers=1, timeout=1.0, allow_code_eval=True) as sandbox:
            found = {name: sandbox.check(code, entry_point="f", tests=tests) for name, code in programs.items()}
            until = time.monotonic() + 1.0  # promised: none a second after the verdict
            while len(set(descendants(os.getpid())) - before) > 2 and time.monotonic() < until:
                time.sleep(0.02)
            # the worker, and the supervisor that it has forked for the next program
            assert len(set(descendants(os.getpid())) - before) <= 2
        assert set(descendants(os.getpid())) <= before
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)
    assert len(found) >= 20
    assert [name for name, verdict in found.items() if verdict.passed] == []
    slowest = max(found, key=lambda name: found[name].seconds)
    print(f"slowest of {len(found)}: {slowest}, {found[slowest].seconds:.2f} s at a limit of 1 s")
    assert found[slowest].seconds <= MAX_STRETCH * 1.0 + 1.0
    assert list(tmp_path.iterdir()) == []
