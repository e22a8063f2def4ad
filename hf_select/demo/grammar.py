"""The generated language of small programming tasks: filter, then map, then reduce, over a list or a string.

A task is drawn from three tables of primitives, each with two phrasings and one piece of Python::

    "Return the sum of the squares of the even numbers in xs."       level 3 = filter + map + reducer
     opener  reducer     map         filter           source
    sum(x * x for x in xs if x % 2 == 0)

Level 2 leaves out the filter or the map, level 1 both. The instruction determines the body, never the other way round.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["list", "string"]

_LETTERS = "abcdefghij"


@dataclass(frozen=True)
class DemoTask:
    """One programming task with its solution and tests.

    Attributes:
        instruction: what to compute, one English sentence.
        body: the expression that the function returns.
        cases: arguments with the results that the tests demand.
        level: number of composed operations, 1-3; 0 for a trivial task.
        kind: what the function is given.
        entry_point: name of the function.
    """

    instruction: str
    body: str
    cases: tuple[tuple[Any, Any], ...]
    level: int
    kind: Kind
    entry_point: str = "f"

    @property
    def prompt(self) -> str:
        """Signature and docstring, ends with a newline."""
        return f'def {self.entry_point}({_PARAMETER[self.kind]}):\n    """{self.instruction}"""\n'

    @property
    def solution(self) -> str:
        """The indented body, ends with a newline."""
        return f"    return {self.body}\n"

    @property
    def tests(self) -> str:
        """Source of ``check(candidate)``, the form of HumanEval."""
        asserts = (f"    assert candidate({argument!r}) == {result!r}\n" for argument, result in self.cases)
        return "def check(candidate):\n" + "".join(asserts)

    def is_solved(self) -> bool:
        """Whether the body gives the results that the tests demand; only for bodies this package wrote itself."""
        try:
            function = _function(self.body, self.kind)
            return all(function(argument) == result for argument, result in self.cases)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return False


@dataclass(frozen=True)
class _Primitive:
    """One building block.

    ``{noun}`` is what the block is applied to, ``{k}`` a constant drawn from ``constants`` (a range, both ends
    included, or the letters of a string).
    """

    phrasings: tuple[str, str]
    code: str
    constants: tuple[int, int] | str | None = None


# A filter that names a slice (``[::2]``) instead of a condition selects by position.
_FILTERS: dict[Kind, tuple[_Primitive, ...]] = {
    "list": (
        _Primitive(("even {noun}", "{noun} that are even"), "x % 2 == 0"),
        _Primitive(("odd {noun}", "{noun} that are odd"), "x % 2 == 1"),
        _Primitive(("positive {noun}", "{noun} above zero"), "x > 0"),
        _Primitive(("negative {noun}", "{noun} below zero"), "x < 0"),
        _Primitive(("{noun} greater than {k}", "{noun} larger than {k}"), "x > {k}", (1, 20)),
        _Primitive(("{noun} less than {k}", "{noun} smaller than {k}"), "x < {k}", (1, 20)),
        _Primitive(("multiples of {k}", "{noun} divisible by {k}"), "x % {k} == 0", (3, 9)),
        _Primitive(("{noun} different from {k}", "{noun} not equal to {k}"), "x != {k}", (0, 9)),
    ),
    "string": (
        _Primitive(("vowels", "vowel letters"), "c in 'aeiou'"),
        _Primitive(("digits", "digit characters"), "c.isdigit()"),
        _Primitive(("uppercase letters", "capital letters"), "c.isupper()"),
        _Primitive(("lowercase letters", "small letters"), "c.islower()"),
        _Primitive(("{noun} other than '{k}'", "{noun} not equal to '{k}'"), "c != '{k}'", _LETTERS),
        _Primitive(("{noun} at even positions", "{noun} at even indices"), "[::2]"),
        _Primitive(("letters", "alphabetic {noun}"), "c.isalpha()"),
    ),
}
_MAPS: dict[Kind, tuple[_Primitive, ...]] = {
    "list": (
        _Primitive(("squares of the {noun}", "squared {noun}"), "x * x"),
        _Primitive(("cubes of the {noun}", "cubed {noun}"), "x ** 3"),
        _Primitive(("absolute values of the {noun}", "magnitudes of the {noun}"), "abs(x)"),
        _Primitive(("negated {noun}", "{noun} with the sign flipped"), "-x"),
        _Primitive(("{noun} plus {k}", "{noun} increased by {k}"), "x + {k}", (1, 20)),
        _Primitive(("{noun} minus {k}", "{noun} decreased by {k}"), "x - {k}", (1, 20)),
        _Primitive(("{noun} times {k}", "{noun} multiplied by {k}"), "x * {k}", (2, 12)),
        _Primitive(("remainders of the {noun} modulo {k}", "{noun} modulo {k}"), "x % {k}", (3, 12)),
        _Primitive(("{noun} floor divided by {k}", "quotients of the {noun} by {k}"), "x // {k}", (2, 9)),
    ),
    "string": (
        _Primitive(("uppercased {noun}", "{noun} in upper case"), "c.upper()"),
        _Primitive(("lowercased {noun}", "{noun} in lower case"), "c.lower()"),
        _Primitive(("doubled {noun}", "{noun} each written twice"), "c * 2"),
        _Primitive(("{noun} with swapped case", "case swapped {noun}"), "c.swapcase()"),
    ),
}
# {items} is a generator without parentheses; {sole} and {several} are the plain source where nothing is computed,
# else the generator as an only argument and as one of several arguments.
_REDUCERS: dict[Kind, tuple[_Primitive, ...]] = {
    "list": (
        _Primitive(("the sum of the {noun}", "the total of the {noun}"), "sum({sole})"),
        _Primitive(("the largest of the {noun}, or 0", "the maximum of the {noun}, or 0"), "max({several}, default=0)"),
        _Primitive(
            ("the smallest of the {noun}, or 0", "the minimum of the {noun}, or 0"), "min({several}, default=0)"
        ),
        _Primitive(("the list of the {noun}", "a list with the {noun}"), "[{items}]"),
        _Primitive(("the sorted {noun}", "the {noun} in ascending order"), "sorted({sole})"),
        _Primitive(
            ("the {noun} in descending order", "the {noun} sorted from high to low"), "sorted({several}, reverse=True)"
        ),
        _Primitive(("the number of distinct {noun}", "how many different {noun} there are"), "len(set({sole}))"),
        _Primitive(("the number of {noun}", "how many {noun} there are"), "len([{items}])"),
        _Primitive(("the {noun} in reverse order", "the reversed list of the {noun}"), "[{items}][::-1]"),
        _Primitive(("the first of the {noun}, or 0", "the first one of the {noun}, or 0"), "([{items}] + [0])[0]"),
    ),
    "string": (
        _Primitive(("the {noun} as a string", "the string of the {noun}"), "''.join({sole})"),
        _Primitive(("the {noun} as a reversed string", "the reversed string of the {noun}"), "''.join({sole})[::-1]"),
        _Primitive(("the number of {noun}", "how many {noun} there are"), "len([{items}])"),
        _Primitive(("the list of the {noun}", "a list with the {noun}"), "[{items}]"),
        _Primitive(("the {noun} in sorted order", "the sorted list of the {noun}"), "sorted({sole})"),
        _Primitive(("the number of distinct {noun}", "how many different {noun} there are"), "len(set({sole}))"),
    ),
}
_TRIVIAL = (
    _Primitive(("Return the number {k}.", "Return the value {k}."), "{k}", (0, 99)),
    _Primitive(("Return xs.", "Return xs unchanged."), "xs"),
    _Primitive(("Return the string '{k}'.", "Return the letter '{k}'."), "'{k}'", _LETTERS),
    _Primitive(("Return an empty list.", "Return a list without elements."), "[]"),
    _Primitive(("Return True.", "Return the value True."), "True"),
    _Primitive(("Return None.", "Return the value None."), "None"),
)
_OPENERS = ("Return", "Compute", "Find", "Give back")
_PARAMETER: dict[Kind, str] = {"list": "xs", "string": "s"}
_VARIABLE: dict[Kind, str] = {"list": "x", "string": "c"}
_NOUN: dict[Kind, str] = {"list": "numbers", "string": "characters"}
_PLACES: dict[Kind, tuple[str, ...]] = {
    "list": ("in the list xs", "of xs", "in xs"),
    "string": ("in the string s", "of s", "in s"),
}
_STRING_INPUT = "abcdeijouABEXYZ0123 -"


def draw_task(rng: random.Random, level: int) -> DemoTask:
    """Draw a task: three in four work on a list of numbers, one in four on a string.

    Args:
        rng: the only source of randomness.
        level: number of composed operations, 1-3.

    Returns:
        The task with a solution that passes its tests.
    """
    kind: Kind = "string" if rng.random() < 0.25 else "list"
    filtered = level == 3 or (level == 2 and rng.random() < 0.5)
    mapped = level == 3 or (level == 2 and not filtered)
    variable, source, noun, condition = _VARIABLE[kind], _PARAMETER[kind], _NOUN[kind], ""
    expression = variable
    if filtered:
        noun, condition = _realise(rng, rng.choice(_FILTERS[kind]), noun)
        if condition.startswith("["):
            source, condition = source + condition, ""
    if mapped:
        noun, expression = _realise(rng, rng.choice(_MAPS[kind]), noun)
    phrase, code = _realise(rng, rng.choice(_REDUCERS[kind]), f"{noun} {rng.choice(_PLACES[kind])}")

    items = f"{expression} for {variable} in {source}" + (f" if {condition}" if condition else "")
    plain = expression == variable and not condition
    body = (
        code.replace("{items}", items)
        .replace("{sole}", source if plain else items)
        .replace("{several}", source if plain else f"({items})")
    )
    return _finish(rng, f"{rng.choice(_OPENERS)} {phrase}.", body, level, kind)


def draw_trivial(rng: random.Random) -> DemoTask:
    """Draw a task that teaches nothing: a constant or the argument itself, level 0."""
    instruction, body = _realise(rng, rng.choice(_TRIVIAL), "")
    return _finish(rng, instruction, body, level=0, kind="list")


def draw_inputs(rng: random.Random, kind: Kind, body: str, n: int = 8) -> list[Any]:
    """Draw arguments that tell apart bodies which are close to each other.

    The first argument is empty; a third of all numbers lie at a constant of the body or one beside it, where an
    off-by-one constant or a flipped comparison shows.

    Args:
        rng: the only source of randomness.
        kind: what the function is given.
        body: the expression whose constants are of interest.
        n: number of arguments.

    Returns:
        ``n`` lists of numbers or strings of at most 12 elements.
    """
    constants = [int(digits) for digits in re.findall(r"\d+", body)] or [0]

    def element() -> Any:
        if kind == "string":
            return rng.choice(_STRING_INPUT)
        if rng.random() < 1 / 3:
            return rng.choice(constants) + rng.randint(-1, 1)
        return rng.randint(-25, 40)

    arguments = [[element() for _ in range(rng.randint(1, 12) if i else 0)] for i in range(n)]
    return ["".join(argument) for argument in arguments] if kind == "string" else list(arguments)


def _realise(rng: random.Random, primitive: _Primitive, noun: str) -> tuple[str, str]:
    """Fix phrasing and constant of a primitive: its phrase and its code."""
    spec = primitive.constants
    k = "" if spec is None else rng.choice(spec) if isinstance(spec, str) else str(rng.randint(*spec))
    phrase = rng.choice(primitive.phrasings).replace("{noun}", noun).replace("{k}", k)
    return phrase, primitive.code.replace("{k}", k)


def _finish(rng: random.Random, instruction: str, body: str, level: int, kind: Kind) -> DemoTask:
    function = _function(body, kind)
    cases = tuple((argument, function(argument)) for argument in draw_inputs(rng, kind, body))
    return DemoTask(instruction, body, cases, level, kind)


def _function(body: str, kind: Kind) -> Callable[[Any], Any]:
    """The function that returns an expression of this grammar."""
    function: Callable[[Any], Any] = eval(f"lambda {_PARAMETER[kind]}: {body}")
    return function
