"""The real benchmarks: every reference solution passes, a body that does nothing passes nowhere."""

import time

import pytest

from hf_select.evaluation import load_humaneval, load_humaneval_plus, load_mbpp, load_mbpp_plus
from hf_select.evaluation.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def statuses(problems, sources, sandbox):
    programs = [problem.program(source) for problem, source in zip(problems, sources, strict=True)]
    verdicts = sandbox.check_many(programs, progress=False)
    return {problem.task_id: verdict for problem, verdict in zip(problems, verdicts, strict=True)}


def assert_references_pass_and_nothing_else_does(problems, n_expected, n_in_process, sandbox):
    assert len(problems) == n_expected
    verdicts = statuses(problems, [problem.solution for problem in problems], sandbox)
    assert {task: verdict for task, verdict in verdicts.items() if not verdict.passed} == {}
    assert sum(verdict.in_process for verdict in verdicts.values()) == n_in_process
    empty = [f"{problem.prompt}def {problem.entry_point}(*args, **kwargs):\n    pass\n" for problem in problems]
    passing = [task for task, verdict in statuses(problems, empty, sandbox).items() if verdict.passed]
    assert passing == []


def test_humaneval(sandbox):
    assert_references_pass_and_nothing_else_does(load_humaneval(), 164, 0, sandbox)


@pytest.mark.data
def test_mbpp(shared_data, sandbox):
    problems = load_mbpp(shared_data / "mbpp" / "mbpp.jsonl.gz", split=None)
    assert len(load_mbpp(shared_data / "mbpp" / "mbpp.jsonl.gz")) == 500
    # three use a class of the solution: 367, 601, 927
    assert_references_pass_and_nothing_else_does(problems, 974, 3, sandbox)


@pytest.mark.data
def test_sanitised_mbpp(shared_data, sandbox):
    problems = load_mbpp(shared_data / "mbpp" / "sanitized-mbpp.json", split=None)
    assert_references_pass_and_nothing_else_does(problems, 427, 0, sandbox)


@pytest.mark.data
@pytest.mark.parametrize(
    ("load", "name", "n"),
    [(load_humaneval_plus, "HumanEvalPlus", 164), (load_mbpp_plus, "MbppPlus", 378)],
)
def test_plus(shared_data, load, name, n):
    """The slowest references (huge integers, long loops) are left out here; they need most of a minute each."""
    problems = load(shared_data / "evalplus" / f"{name}.jsonl.gz")
    assert len(problems) == n
    quick = [problem for problem in problems if problem.timeout == 20.0]
    assert len(problems) - len(quick) <= 6
    with Sandbox(allow_code_eval=True) as sandbox:
        verdicts = statuses(quick, [problem.solution for problem in quick], sandbox)
        wrong = [f"{problem.prompt}def {problem.entry_point}(*args, **kwargs):\n    return []\n" for problem in quick]
        constant = statuses(quick, wrong, sandbox)
    assert {task: verdict for task, verdict in verdicts.items() if not verdict.passed} == {}
    passing = [task for task, verdict in constant.items() if verdict.passed]
    assert passing == []


def test_verdicts_do_not_depend_on_the_number_of_workers():
    problems = load_humaneval()[:40]
    sources = [problem.solution for problem in problems[:20]] + [problem.prompt for problem in problems[20:]]
    found = []
    for n_workers in (1, 2, 8):
        with Sandbox(n_workers=n_workers, allow_code_eval=True) as sandbox:
            found.append([verdict.status for verdict in statuses(problems, sources, sandbox).values()])
    assert found[0] == found[1] == found[2] == ["passed"] * 20 + ["failed"] * 20


def test_many_programs_in_one_go(sandbox):
    """Tells the time, and asserts none."""
    problems = load_humaneval() * 3
    started = time.monotonic()
    verdicts = statuses(problems, [problem.solution for problem in problems], sandbox)
    print(f"{len(problems)} programs in {time.monotonic() - started:.1f} s with {sandbox.n_workers} workers")
    assert all(verdict.passed for verdict in verdicts.values())
