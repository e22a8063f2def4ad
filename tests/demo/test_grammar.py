"""The generated tasks: what they look like, and that their tests hold the solution and nothing close to it."""

import random
import re

import pytest

from hf_select.demo.grammar import DemoTask, draw_inputs, draw_task, draw_trivial


def run_tests(task: DemoTask) -> None:
    namespace: dict[str, object] = {}
    exec(f"{task.prompt}{task.solution}\n{task.tests}\ncheck({task.entry_point})", namespace)


def test_a_task_is_a_function_with_docstring_body_and_check():
    task = DemoTask("Return the sum of xs.", "sum(xs)", (([], 0), ([1, 2], 3)), level=1, kind="list")
    assert task.prompt == 'def f(xs):\n    """Return the sum of xs."""\n'
    assert task.solution == "    return sum(xs)\n"
    assert task.tests == "def check(candidate):\n    assert candidate([]) == 0\n    assert candidate([1, 2]) == 3\n"
    assert task.is_solved()
    run_tests(task)


@pytest.mark.parametrize("body", ["sum(xs) + 1", "xs[5]", "1 // 0", "sum(3)", "int('x')"])
def test_a_wrong_or_raising_body_is_not_solved(body):
    assert not DemoTask("", body, (([], 0), ([1, 2], 3)), level=1, kind="list").is_solved()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_drawn_tasks_pass_their_own_tests_and_compose_as_many_operations_as_their_level(level):
    rng = random.Random(level)
    n_filters_and_maps = set()
    for _ in range(200):
        task = draw_task(rng, level)
        run_tests(task)
        assert task.level == level
        assert re.fullmatch(r"(Return|Compute|Find|Give back) .*\.", task.instruction)
        assert "{" not in task.instruction + task.body
        assert len(task.cases) == 8
        assert not task.cases[0][0]  # the empty input
        filtered = " if " in task.body or "[::2]" in task.body
        mapped = bool(re.search(r"(?<![\w ])\(?(?!x for|c for)[^\[(]*(x|c)[^\[]* for ", task.body)) and not re.search(
            r"[(\[](x|c) for", task.body
        )
        n_filters_and_maps.add(filtered + mapped)
    assert n_filters_and_maps == {level - 1}


def test_both_kinds_of_argument_are_drawn():
    rng = random.Random(0)
    kinds = [draw_task(rng, 3).kind for _ in range(400)]
    assert 0.17 < kinds.count("string") / 400 < 0.33


def test_trivial_tasks_have_level_zero_and_pass():
    rng = random.Random(0)
    bodies = set()
    for _ in range(100):
        task = draw_trivial(rng)
        run_tests(task)
        assert task.level == 0
        bodies.add(task.body)
    assert {"xs", "[]", "True", "None"} <= bodies


def test_inputs_lie_around_the_constants_of_the_body():
    inputs = draw_inputs(random.Random(0), "list", "[x for x in xs if x > 17]", n=50)
    drawn = [number for argument in inputs for number in argument]
    assert inputs[0] == []
    assert max(map(len, inputs)) <= 12
    assert sum(16 <= number <= 18 for number in drawn) > len(drawn) / 4


def test_the_draw_is_a_function_of_the_generator_and_leaves_the_global_one():
    state = random.getstate()
    assert draw_task(random.Random(5), 3) == draw_task(random.Random(5), 3)
    assert random.getstate() == state
