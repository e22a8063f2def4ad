"""Rows that break readers: every gate answers for each of them, and none ends the process."""

import pytest

from hf_select.evaluation.problem import Problem
from hf_select.gates import DuplicateGate, LeakageGate, NearDuplicateGate, ParsesGate, StaticGate
from hf_select.gates.tree import MAX_CHARACTERS, parse_python

HOSTILE = {
    "empty": "",
    "blank": " \n\t\n",
    "null byte": "def f():\n    return '\0'\n",
    "carriage returns": "def f():\r\n    return 1\r\n",
    "old carriage returns": "def f():\r    return 1\r",
    "unary": "def f():\n    return " + "-" * 60_000 + "1\n",
    "parentheses": "def f():\n    return " + "(" * 5_000 + ")" * 5_000 + "\n",
    "brackets": "[" * 90_000,
    "attributes": "from x import y\ny" + ".a" * 60_000,
    "sum": "from x import y\ny" + "+1" * 60_000,
    "calls": "from x import y\ny" + "()" * 60_000,
    "lambdas": "from x import y\n" + "lambda:" * 20_000 + "1",
    "branches": "def f(a):\n    if a:\n        pass\n" + "    elif a:\n        pass\n" * 5_000,
    "indentation": "def f():\n" + "".join(" " * depth + "if 1:\n" for depth in range(1, 250)) + " " * 250 + "x\n",
    "one long line": "def f(): return '" + "a" * 10_000_000 + "'",
    "fences": "```" * 30_000,
    "open fences": "```python\n" * 5_000,
    "byte order mark": "\ufeffdef f():\n    return 1\n",
    "escape": "def f():\n    return '\x1b[2J\\d'\n",
}
PARSE = {"carriage returns", "old carriage returns", "escape", "byte order mark"}


@pytest.fixture(scope="module")
def batch():
    return {"prompt": ["Write it."] * len(HOSTILE), "completion": list(HOSTILE.values())}


def problem(source="def f(first, second):\n    return [first, second, len(first), len(second), first + second]\n"):
    return Problem("0", "", "f", source, ("assert f",))


@pytest.mark.parametrize(
    "make",
    [DuplicateGate, NearDuplicateGate, ParsesGate, StaticGate, lambda: LeakageGate({"mine": [problem()]})],
    ids=["duplicates", "near_duplicates", "parses", "static", "leakage"],
)
def test_every_gate_answers(make, batch):
    if make in (NearDuplicateGate, StaticGate):
        pytest.importorskip("datasketch" if make is NearDuplicateGate else "pyflakes")
    verdicts = make().judge(batch)
    assert len(verdicts) == len(HOSTILE)
    assert make().judge({"prompt": [], "completion": []}) == []


def test_what_becomes_of_them(batch):
    verdicts = dict(zip(HOSTILE, ParsesGate(language="python").judge(batch), strict=True))
    for name in PARSE:
        assert verdicts[name] is None, name
    assert verdicts["null byte"] == "does not parse"
    deep = ("unary", "brackets", "sum", "calls", "lambdas")
    assert {verdicts[name] for name in deep} == {"nested too deep to parse"}
    assert verdicts["one long line"] is None  # too long: not checked


def test_hostile_problems_do_not_break_the_index():
    problems = [problem(text) for text in HOSTILE.values() if len(text) < MAX_CHARACTERS]
    assert len(problems) == len(HOSTILE) - 1
    assert LeakageGate({"mine": problems}).judge({"prompt": ["p"], "completion": ["fine"]}) == [None]


def test_deep_trees_that_parse_are_walked_or_left():
    for depth in (50, 90, 150, 900):
        source = "def f(a):\n    return " + "not " * depth + "a\n"
        tree = parse_python(source)
        gate = LeakageGate({"mine": [problem(source)]})
        found = gate.judge({"prompt": ["p"], "completion": [source.replace("a", "b").replace("f", "g")]})
        assert len(found) == 1
        assert isinstance(tree, str) or tree.body
