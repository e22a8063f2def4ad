"""How HumanEval+ and MBPP+ compare an answer with the reference's. Standard library only.

The text of this file is a test: the judge executes it, so it must not import anything of this library.
"""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

RELATIVE_TOLERANCE = 1e-7
FLOAT_TOLERANCE = 1e-6


class Case(NamedTuple):
    """One comparison.

    Attributes:
        answer: what the program returned.
        expected: what the reference returned.
        arguments: what both were given.
        tolerance: absolute; 0 compares exactly, or to 1e-6 where the reference answers with floats.
    """

    answer: Any
    expected: Any
    arguments: Sequence[Any]
    tolerance: float


def check_all(
    candidate: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Iterable[Sequence[Any]],
    tolerance: float,
    rule: str = "equal",
) -> None:
    """Compare two functions on every input.

    Args:
        candidate: the function under test.
        reference: the function that is right.
        inputs: the arguments of each call.
        tolerance: absolute.
        rule: a key of ``RULES``.

    Raises:
        AssertionError: at the first input on which they differ.
    """
    for arguments in inputs:
        answer = candidate(*copy.deepcopy(arguments))
        case = Case(answer, reference(*copy.deepcopy(arguments)), arguments, tolerance)
        if not RULES[rule](case):
            raise AssertionError(f"{arguments!r:.120} gave {answer!r:.80}, expected {case.expected!r:.80}")


def is_equal(case: Case) -> bool:
    """Equal, or close where a tolerance applies."""
    if case.answer == case.expected:
        return True
    tolerance = case.tolerance or (FLOAT_TOLERANCE if _is_float(case.expected) else 0)
    return tolerance > 0 and type(case.answer) is type(case.expected) and _is_close(*case[:2], tolerance)


def _is_float(value: Any) -> bool:
    if isinstance(value, list | tuple) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _is_close(answer: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list | tuple):
        return (
            isinstance(answer, list | tuple)
            and len(answer) == len(expected)
            and all(_is_close(one, other, tolerance) for one, other in zip(answer, expected, strict=True))
        )
    if isinstance(answer, int | float | complex) and isinstance(expected, int | float | complex):
        return answer == expected or abs(answer - expected) <= tolerance + RELATIVE_TOLERANCE * abs(expected)
    return bool(answer == expected)


def is_root(case: Case) -> bool:
    """A zero of the polynomial with the coefficients given, whichever (HumanEval/32).

    Summed as the reference sums it: at terms of 1e13 another order of rounding moves the result past the tolerance.
    """
    (coefficients,) = case.arguments
    value = sum(coefficient * math.pow(case.answer, power) for power, coefficient in enumerate(coefficients))
    return bool(abs(value) <= case.tolerance)


def is_same_set(case: Case) -> bool:
    """The same items in any order."""
    return set(case.answer) == set(case.expected)


def is_found(case: Case) -> bool:
    """A match or none: a truth value, or anything for a match and ``None`` for none."""
    found = case.expected is not None
    return bool(case.answer == found) if isinstance(case.answer, bool) else found == (case.answer is not None)


def is_anything(_case: Case) -> bool:
    """The task can be read in ways that no test tells apart (Mbpp/164)."""
    return True


def is_equal_or_zero(case: Case) -> bool:
    """Equal, or 0 (Mbpp/295: whether a number divides itself is open)."""
    return bool(case.answer == 0) or is_equal(case)


def is_surface(case: Case) -> bool:
    """Equal, or the surface of the pyramid from its own height instead of its slant height (Mbpp/581)."""
    edge, height = case.arguments
    other = round(edge**2 + 2 * edge * math.hypot(edge / 2, height))
    return is_equal(case) or bool(abs(case.answer - other) <= case.tolerance)


def is_digit_distance(case: Case) -> bool:
    """Equal, or the sum of the distances digit by digit (Mbpp/558)."""
    texts = [str(number) for number in case.arguments]
    width = max(map(len, texts))
    first, second = (text.zfill(width) for text in texts)
    distance = sum(abs(int(one) - int(other)) for one, other in zip(first, second, strict=True))
    return bool(case.answer == distance) or is_equal(case)


RULES: dict[str, Callable[[Case], bool]] = {
    "equal": is_equal,
    "root": is_root,
    "same_set": is_same_set,
    "found": is_found,
    "anything": is_anything,
    "equal_or_zero": is_equal_or_zero,
    "surface": is_surface,
    "digit_distance": is_digit_distance,
}
"""Every way to compare, by name."""
