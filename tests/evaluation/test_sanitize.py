import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.evaluation.problem import Problem
from hf_select.evaluation.sanitize import cut, longest_compiling_start, sanitize

POLY = Problem(
    task_id="0",
    prompt=(
        "import math\nfrom typing import List\n\n\ndef poly(xs: list, x: float):\n    return sum(xs) * x\n\n\n"
        'def find(xs: List[int]) -> int:\n    """Find it."""\n'
    ),
    entry_point="find",
    canonical_solution="    return xs[0]\n",
    tests=("assert find([7]) == 7",),
)
WHOLE = "def find(xs: List[int]) -> int:\n    return math.floor(xs[0])\n"

COMPLETIONS = {
    "body": "    return xs[0]\n",
    "body with more behind it": "    return xs[0]\n\n\ndef other():\n    return find(",
    "body without indentation": "return xs[0]\n",
    "body whose rest is cut off": "    y = xs[0]\n    return y\n    for a in (1,\n",
    "whole function": WHOLE,
    "windows line ends": WHOLE.replace("\n", "\r\n"),
    "fenced": f"Here it is:\n```python\n{WHOLE}```\nIt returns the first.\n",
    "fence opened by the prompt": f"{WHOLE}```\nThis works because of reasons.\n",
    "fence never closed": f"Sure!\n```python\n{WHOLE}",
    "body in a fence": "```python\n    return xs[0]\n```",
    "second block": f"First install it:\n```bash\npip install x\n```\nThen:\n```python\n{WHOLE}```\n",
    "fence opened by the prompt, another behind it": f"{WHOLE}```\nFor example:\n```python\nfind([1])\n```\n",
    "chatter without fences": f"Solution\n\nThis is the code\n{WHOLE}",
    "examples": f"{WHOLE}\nprint(find([1]))\nassert find([1])\nx = find([])\nif __name__ == '__main__':\n    x()\n",
    "future import": f"from __future__ import annotations\n{WHOLE}",
    "own helper": f"def poly(xs, x):\n    return 3\n\n{WHOLE}",
    "decorated": f"import functools\n\n@functools.lru_cache\ndef first(x):\n    return x\n\n{WHOLE}",
    "rebound": f"{WHOLE}\nfind = (lambda f: f)(find)\n",
    "no return": "    yield from xs\n",
    "async tail": f"{WHOLE}async def broken(:\n    pass\n",
}


@pytest.mark.parametrize("name", COMPLETIONS)
def test_the_program_defines_what_is_asked_for(name):
    program = sanitize(COMPLETIONS[name], POLY)
    namespace = {}
    exec(compile(program, name, "exec"), namespace)
    answer = namespace["find"]([7, 8])
    assert (list(answer) if name == "no return" else answer) == ([7, 8] if name == "no return" else 7)


def test_imports_and_helpers_of_the_prompt_are_given_unless_the_program_brings_its_own():
    program = sanitize(WHOLE, POLY)
    assert program.startswith("import math\nfrom typing import List\ndef poly")
    own = sanitize(COMPLETIONS["own helper"], POLY)
    assert own.count("def poly") == 1
    assert "return 3" in own
    assert sanitize(COMPLETIONS["future import"], POLY).startswith("from __future__ import annotations\nimport math")


def test_a_continuation_is_kept_to_the_letter():
    body = "    if xs:\n      return xs[0]  # three spaces are the author's\n    return None\n"
    assert sanitize(body, POLY) == POLY.prompt + body


def test_examples_go_and_everything_that_a_solution_needs_stays():
    needed = "import sys\nsys.setrecursionlimit(10000)\nTABLE = [1]\nfor i in range(3):\n    TABLE.append(i)\n"
    text = f"{needed}{WHOLE}print('done')\n"
    program = sanitize(text, POLY)
    assert "setrecursionlimit" in program
    assert "TABLE.append" in program
    assert "print" not in program


def test_what_cannot_be_saved_fails_and_does_not_raise():
    hopeless = ["", "\0\0", "no code at all", "```", "```\n```", "def find(:", "\ud800", "(" * 5000]
    for text in hopeless:
        program = sanitize(text, POLY)
        assert "return math" not in program
        compile(program.encode("utf-8", "replace").decode(), "p", "exec")


def test_stop_strings_cut_behind_the_fences():
    assert "assert" not in sanitize(f"```python\n{WHOLE}\nassert x\n```", POLY, stop=["\nassert"])


def test_cut():
    assert cut("abcdef", ["e", "cd", "x"]) == "ab"
    assert cut("abc", []) == cut("abc", ["x"]) == "abc"
    assert cut("abc", ["a"]) == ""


LINES = st.sampled_from(
    """x = 1
def f():
    return 1
    y = (
)
if x:
    pass
'''
# c

return 2
else:
  z = 1
try:
except:
x = [1,
2]
@f
class A:
a b
""".splitlines(keepends=True)
)


def compiles(source):
    try:
        compile(source, "s", "exec")
    except SyntaxError:
        return False
    return True


@given(st.lists(LINES, max_size=14))
def test_the_start_is_the_longest_that_compiles(lines):
    found = longest_compiling_start("".join(lines))
    best = max((n for n in range(len(lines) + 1) if compiles("".join(lines[:n]))), default=0)
    assert found == "".join(lines[:best])
