"""How HumanEval+ and MBPP+ compare an answer with the reference's. Standard library only.

The text of this file is a test: the judge executes it, so it must not import anything of this library.
"""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

RELATIVE_TOLERANCE = 1e-7
FLOAT_TOLERANCE = 1e-6


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
        tolerance: absolute tolerance; 0 compares exactly, or to 1e-6 where the reference answers with floats.
        rule: a key of ``RULES``.

    Raises:
        AssertionError: at the first input on which they differ.
    """
    for arguments in inputs:
        answer = candidate(*copy.deepcopy(arguments))
        expected = reference(*copy.deepcopy(arguments))
        if not RULES[rule](answer, expected, arguments, tolerance):
            raise AssertionError(f"{arguments!r:.120} gave {answer!r:.80}, expected {expected!r:.80}")


def is_equal(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """Equal, or close where a tolerance applies."""
    if answer == expected:
        return True
    if tolerance == 0:
        if not _is_float(expected):
            return False
        tolerance = FLOAT_TOLERANCE
    return type(answer) is type(expected) and _is_close(answer, expected, tolerance)


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


def is_root(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """A zero of the polynomial with the coefficients given, whichever (HumanEval/32)."""
    (coefficients,) = arguments
    return abs(math.fsum(coefficient * answer**power for power, coefficient in enumerate(coefficients))) <= tolerance


def is_same_set(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """The same items in any order."""
    return set(answer) == set(expected)


def is_found(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """A match or none: a truth value, or anything for a match and ``None`` for none."""
    found = expected is not None
    return bool(answer == found) if isinstance(answer, bool) else found == (answer is not None)


def is_anything(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """The task can be read in ways that no test tells apart (Mbpp/164)."""
    return True


def is_equal_or_zero(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """Equal, or 0 (Mbpp/295: whether a number divides itself is open)."""
    return bool(answer == 0) or is_equal(answer, expected, arguments, tolerance)


def is_surface(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """Equal, or the surface of the pyramid from its own height instead of its slant height (Mbpp/581)."""
    edge, height = arguments
    other = round(edge**2 + 2 * edge * math.hypot(edge / 2, height))
    return is_equal(answer, expected, arguments, tolerance) or abs(answer - other) <= tolerance


def is_digit_distance(answer: Any, expected: Any, arguments: Sequence[Any], tolerance: float) -> bool:
    """Equal, or the sum of the distances digit by digit (Mbpp/558)."""
    texts = [str(number) for number in arguments]
    width = max(map(len, texts))
    first, second = (text.zfill(width) for text in texts)
    distance = sum(abs(int(one) - int(other)) for one, other in zip(first, second, strict=True))
    return bool(answer == distance) or is_equal(answer, expected, arguments, tolerance)


RULES: dict[str, Callable[[Any, Any, Sequence[Any], float], bool]] = {
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
