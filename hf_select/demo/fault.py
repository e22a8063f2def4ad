"""Planted faults: ways to turn a correct body into a wrong one that still looks right."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from hf_select.demo.grammar import DemoTask, draw_task

_COMPARISON = re.compile(r" (>|<|==|!=) ")
_OTHER_COMPARISONS = {">": (">=", "<"), "<": ("<=", ">"), "==": ("!=", ">"), "!=": ("==",)}
# Not the -1 of a reversing slice: a step of 0 raises at once, which is no hidden fault.
_CONSTANT = re.compile(r"(?<![-\w])\d+\b")


def off_by_one(rng: random.Random, task: DemoTask) -> str | None:
    """The body with one constant moved by one; ``None`` if it has no constant."""
    places = list(_CONSTANT.finditer(task.body))
    if not places:
        return None
    place = rng.choice(places)
    return task.body[: place.start()] + str(int(place[0]) + rng.choice((-1, 1))) + task.body[place.end() :]


def flipped_comparison(rng: random.Random, task: DemoTask) -> str | None:
    """The body with its comparison turned or made loose; ``None`` if it compares nothing."""
    place = _COMPARISON.search(task.body)
    if place is None:
        return None
    return f"{task.body[: place.start(1)]}{rng.choice(_OTHER_COMPARISONS[place[1]])}{task.body[place.end(1) :]}"


def swapped_body(rng: random.Random, task: DemoTask) -> str | None:
    """The body of another task of the same level; ``None`` if the draw takes another kind of argument."""
    other = draw_task(rng, task.level)
    return other.body if other.kind == task.kind else None


FAULTS: dict[str, Callable[[random.Random, DemoTask], str | None]] = {
    "off_by_one": off_by_one,
    "flipped_comparison": flipped_comparison,
    "swapped_body": swapped_body,
}
