import dataclasses

import pytest

from hf_select.evaluation.plus import plus_problem

ROW = {
    "task_id": "HumanEval/999",
    "prompt": "def total(n):\n    '''Sum of 1 to n.'''\n",
    "entry_point": "total",
    "canonical_solution": "    return 0 if n == 0 else n + total(n - 1)\n",
    "base_input": [[1], [3]],
    "plus_input": [[0], [10]],
    "atol": 0,
}


def verdict(sandbox, problem, body):
    program = problem.program(problem.prompt + body)
    return sandbox.check_many([program], progress=False)[0]


def test_programs_are_compared_with_the_reference(sandbox):
    problem = plus_problem(ROW)
    assert verdict(sandbox, problem, "    return n * (n + 1) // 2\n").passed
    wrong = verdict(sandbox, problem, "    return 55 if n == 10 else n * 2\n")
    assert "[1] gave 2, expected 1" in wrong.detail


def test_the_reference_never_calls_the_program(sandbox):
    """It is recursive: through the program's own function a wrong answer would agree with itself."""
    assert not verdict(sandbox, plus_problem(ROW), "    return n\n").passed
    assert not verdict(sandbox, plus_problem(ROW | {"base_input": [[2]], "plus_input": []}), "    return 2\n").passed


def test_the_added_inputs_count(sandbox):
    base_only = plus_problem(ROW | {"plus_input": []})
    body = "    return {1: 1, 3: 6}.get(n)\n"
    assert verdict(sandbox, base_only, body).passed
    assert not verdict(sandbox, plus_problem(ROW), body).passed


@pytest.mark.parametrize(
    ("task_id", "raw", "converted"),
    [
        (116, [[1], [2]], [(1,), (2,)]),
        (63, [[[1, 2], [3]]], [[(1, 2), (3,)]]),
        (75, [[[1], [2]], 6], [[(1,), (2,)], 6]),
        (106, [[1], [2]], [[1], (2,)]),
        (250, [[1, 2], 8], [(1, 2), 8]),
        (307, [[1, 2], 3, 4], [(1, 2), 3, 4]),
        (259, [[[1], [2]], [[3]]], [((1,), (2,)), ((3,),)]),
        (278, [[1, [2, 3]]], [(1, (2, 3))]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
        (722, [{"a": [1, 2]}, 3], [{"a": (1, 2)}, 3]),
        (115, [[[1, 1], []]], [[{1}, {}]]),
        (124, ["1", "2j"], [1.0, 2j]),
        (252, ["1+2j"], [1 + 2j]),
        (3, [[1]], [[1]]),
    ],
)
def test_arguments_that_json_cannot_say(sandbox, task_id, raw, converted):
    """The reference raises unless it gets the converted arguments; so does the program."""
    names = ", ".join("abcd"[: len(raw)])
    body = f"    assert [{names}] == {converted!r} and repr([{names}]) == {repr(converted)!r}\n"
    row = {
        "task_id": f"Mbpp/{task_id}",
        "prompt": f"def f({names}):\n",
        "entry_point": "f",
        "canonical_solution": body,
        "base_input": [raw],
        "plus_input": [],
        "atol": 0,
    }
    found = verdict(sandbox, plus_problem(row), body)
    assert found.passed, found.detail


def test_special_numbers_and_limits(sandbox):
    problem = plus_problem(ROW | {"base_input": [[float("inf")], [float("-inf")]], "plus_input": []})
    problem = dataclasses.replace(problem, tests=(*problem.tests, "import math\nassert math.isinf(inf)"))
    assert "RecursionError" in verdict(sandbox, problem, "    return n\n").detail  # the reference was given infinity
    assert problem.max_memory_bytes == 4 << 30
    assert plus_problem(ROW | {"task_id": "HumanEval/130"}).timeout > problem.timeout
    assert not problem.in_process
    assert plus_problem(ROW | {"task_id": "Mbpp/255"}).in_process
