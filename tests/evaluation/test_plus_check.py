import math

import pytest

from hf_select.evaluation.plus_check import RULES, Case, check_all


def holds(rule, answer, expected, arguments=(), tolerance=0.0):
    return RULES[rule](Case(answer, expected, arguments, tolerance))


def test_equality_and_tolerance():
    assert holds("equal", [1, 2], [1, 2])
    assert not holds("equal", [1, 2], (1, 2))
    assert not holds("equal", 1, 2)
    assert holds("equal", 0.1 + 0.2, 0.3)  # floats are compared to 1e-6 even where the task says 0
    assert not holds("equal", 0.3001, 0.3)
    assert holds("equal", 0.3001, 0.3, tolerance=1e-3)
    assert holds("equal", [0.1 + 0.2, 1.0], [0.3, 1.0])
    assert not holds("equal", [0.1 + 0.2], [0.3, 1.0])
    assert not holds("equal", (0.1 + 0.2,), [0.3])
    assert not holds("equal", 3, 3.0000001)  # close, but an int is not a float
    assert holds("equal", math.inf, math.inf)
    assert not holds("equal", [1, 2.0000001], [1, 2.0])  # not all floats: exact
    assert not holds("equal", None, 0.5)


def test_rules_of_single_tasks():
    assert holds("root", 2.0, 5.0, arguments=([-4, 0, 1],), tolerance=1e-4)  # another root is as good
    assert not holds("root", 1.0, 2.0, arguments=([-4, 0, 1],), tolerance=1e-4)
    assert holds("same_set", (2, 1, 1), [1, 2])
    assert not holds("same_set", (1,), [1, 2])
    assert holds("found", True, "match")
    assert holds("found", "another", "match")
    assert holds("found", None, None)
    assert not holds("found", None, "match")
    assert not holds("found", False, "match")
    assert holds("anything", 1, 2)
    assert holds("equal_or_zero", 0, 7)
    assert not holds("equal_or_zero", 1, 7)
    assert holds("surface", 33, 33, arguments=(3, 4))
    assert holds("surface", 35, 33, arguments=(3, 4))  # 9 + 2 * 3 * hypot(1.5, 4)
    assert not holds("surface", 34, 33, arguments=(3, 4))
    assert holds("digit_distance", 7, 1, arguments=(23, 156))  # |0-1| + |2-5| + |3-6|
    assert holds("digit_distance", 1, 1, arguments=(23, 156))
    assert not holds("digit_distance", 2, 1, arguments=(23, 156))
    assert len(RULES) == 8


def test_every_input_is_compared_and_none_is_shared():
    def greedy(values):
        values.append(1)
        return len(values)

    inputs = [[[1, 2]], [[]]]
    check_all(greedy, greedy, inputs, 0.0)
    assert inputs == [[[1, 2]], [[]]]
    with pytest.raises(AssertionError, match=r"\[\[\]\] gave 0, expected 1"):
        check_all(lambda values: len(values) + bool(values), greedy, inputs, 0.0)
