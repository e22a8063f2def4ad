"""Planted faults: each kind on a body worked by hand."""

import random

import pytest

from hf_select.demo.fault import FAULTS, flipped_comparison, off_by_one, swapped_body
from hf_select.demo.grammar import DemoTask, draw_task


def task_with(body: str, kind: str = "list") -> DemoTask:
    return DemoTask("", body, (), level=2, kind=kind)


def outcomes(fault, task: DemoTask) -> set[str | None]:
    rng = random.Random(0)
    return {fault(rng, task) for _ in range(100)}


def test_off_by_one_moves_one_constant_by_one():
    assert outcomes(off_by_one, task_with("[x + 4 for x in xs if x > 10]")) == {
        "[x + 3 for x in xs if x > 10]",
        "[x + 5 for x in xs if x > 10]",
        "[x + 4 for x in xs if x > 9]",
        "[x + 4 for x in xs if x > 11]",
    }


def test_off_by_one_leaves_the_step_of_a_reversing_slice():
    assert outcomes(off_by_one, task_with("[x for x in xs][::-1]")) == {None}


@pytest.mark.parametrize(
    ("comparison", "others"),
    [(">", {">=", "<"}), ("<", {"<=", ">"}), ("==", {"!=", ">"}), ("!=", {"=="})],
)
def test_flipped_comparison_turns_the_comparison(comparison, others):
    body = "sum(x for x in xs if x {} 3)"
    assert outcomes(flipped_comparison, task_with(body.format(comparison))) == {body.format(other) for other in others}


def test_flipped_comparison_needs_a_comparison():
    assert outcomes(flipped_comparison, task_with("max(xs, default=0)")) == {None}


def test_swapped_body_comes_from_the_same_level_and_kind():
    bodies = outcomes(swapped_body, task_with("sorted(s)", kind="string"))
    assert None in bodies  # the other kind was drawn
    assert all("xs" not in body for body in bodies - {None})
    assert len(bodies) > 5


def test_every_fault_gives_bodies_that_compile():
    rng = random.Random(1)
    n_bodies = 0
    for fault in FAULTS.values():
        for _ in range(200):
            body = fault(rng, draw_task(rng, rng.choice((1, 2, 3))))
            if body is not None:
                compile(body, "body", "eval")
                n_bodies += 1
    assert n_bodies > 250
