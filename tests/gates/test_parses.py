"""Whether the code of a row parses: taken out of its fences, in its language, as the continuation of its prompt."""

import gzip
import json
import sys

import pytest
from datasets import Dataset

from hf_select.gates import ParsesGate, StaticGate, apply_gates
from hf_select.gates.code import Code, codes_of, normal_language
from hf_select.gates.parses import MEASURED
from hf_select.rows import Row

BROKEN = "does not parse"


def reason(response, prompt="Write it.", **fields):
    return ParsesGate(**fields).judge({"prompt": [prompt], "completion": [response]})[0]


@pytest.mark.parametrize(
    "response",
    [
        "def f(x):\n    return x\n",
        "def f(x):\r\n    return x\r\n",
        "    def f(x):\n        return x\n",  # dedented
        "Sure:\n\n```python\ndef f(x):\n    return x\n```\nDone.",
        "Sure:\n\n```py\ndef f(x):\n    return x",  # the fence was cut off, the code was not
        "~~~python\nx = 1\n~~~\n",
    ],
)
def test_python_that_parses(response):
    assert reason(response) is None
    assert StaticGate().judge({"prompt": ["Write it."], "completion": [response]}) == [None]


@pytest.mark.parametrize(
    "response",
    [
        "def f(x):\n    return (x\n",
        "def f(x):\n    return x\n  return 1\n",
        "Here you are:\ndef f(x):\n    return x\n",
        "```python\nx = 1\n```\nand\n```python\ny = = 1\n```\n",  # one bad piece is enough
        "```python\nprint 'two'\n```",
    ],
)
def test_python_that_does_not(response):
    assert reason(response) == BROKEN


def test_a_response_may_go_on_from_its_prompt():
    prompt = 'def f(x):\n    """Add one."""\n'
    assert reason("    return x + 1\n", prompt) is None
    assert reason("    return x +\n", prompt) == BROKEN


def test_what_has_no_known_language_is_kept_and_counted():
    dataset = Dataset.from_dict(
        {"prompt": ["a", "b", "c", ""], "completion": ["10 5", "fn main() {", "def f(x) do\n", ""]}
    )
    report = apply_gates(dataset, [ParsesGate()], progress=False)
    assert report.reasons == (None, None, None, None)
    assert report.not_checked == {"parses": 4}
    report = apply_gates(dataset, [ParsesGate(language="python")], progress=False)
    assert report.reasons == (BROKEN, BROKEN, BROKEN, None)
    assert report.not_checked == {"parses": 1}


def test_the_language_of_a_row_is_that_of_its_column_or_fence():
    pytest.importorskip("tree_sitter_language_pack")
    rows = {
        "prompt": ["p"] * 5,
        "completion": ["class A {}", "class A {", "class A {", "```java\nclass A {}\n```", "```js\nlet a = ;\n```"],
        "language": ["Java", "Java", None, "Python", "Java"],
    }
    gate = ParsesGate()
    assert gate.judge(rows) == [None, BROKEN, None, None, BROKEN]
    assert gate.n_not_checked == 1
    assert ParsesGate(language_column="other").judge({**rows, "other": ["go"] * 5})[0] == BROKEN


def test_a_grammar_that_refuses_real_programs_is_asked_only_on_request():
    pytest.importorskip("tree_sitter_language_pack")
    assert {"c", "cpp", "bash", "sql"}.isdisjoint(MEASURED)
    broken = "```cpp\nint main( {\n```"
    assert reason(broken) is None
    assert reason(broken, languages=("cpp",)) == BROKEN
    assert reason("```klingon\nqapla'\n```", languages=("klingon",)) is None


def test_without_the_extra_other_languages_are_not_checked(monkeypatch, caplog):
    from hf_select.gates.parses import _parser

    _parser.cache_clear()
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    gate = ParsesGate()
    assert gate.judge({"prompt": ["p"] * 2, "completion": ["```java\nclass A {\n```"] * 2}) == [None, None]
    assert gate.n_not_checked == 2
    assert caplog.text.count("hf-select[gates]") == 1
    _parser.cache_clear()


def test_the_text_of_a_classification_row_is_its_code():
    gate = ParsesGate(language="python")
    assert gate.judge({"text": ["x = 1", "x = = 1"], "label": [0, 1]}) == [None, BROKEN]


def test_codes_of_a_row():
    chat = "Use:\n```bash\npip install a\n```\nthen\n``` {.python}\nimport a\n```\n```\ndef f(x):\n    pass\n```"
    found = codes_of(Row("p", chat))
    assert [(code.language, code.before) for code in found] == [("bash", ""), ("python", ""), ("python", "")]
    assert found[0].source == "pip install a\n"
    assert codes_of(Row("p", "")) == []
    assert codes_of(Row("p", "x", None)) == [Code("x", None, "p")]
    assert [normal_language(name) for name in ("C++", " GoLang", "py", "Zig")] == ["cpp", "go", "python", "zig"]


@pytest.mark.data
def test_real_programs_pass_and_cut_ones_do_not(shared_data):
    path = shared_data / "instruct" / "exercism.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if normal_language(row["language"]) in ("python", "java", "go")]
    assert len(rows) == 291
    batch = {"prompt": [""] * len(rows), "language": [row["language"] for row in rows]}
    whole = ParsesGate().judge({**batch, "completion": [row["output"] for row in rows]})
    assert sum(found is not None for found in whole) <= 2
    cut = [row["output"].rstrip()[: int(0.9 * len(row["output"]))] for row in rows]
    assert sum(found is not None for found in ParsesGate().judge({**batch, "completion": cut})) > 0.75 * len(rows)


def test_a_source_file_is_one_piece_whatever_its_comments_fence():
    fenced = '"""Use it:\n\n```python\n>>> f(1)\n```\n"""\n\n\ndef f(x):\n    return x\n'
    broken = fenced.replace("return x", "return (x").replace(">>> f(1)", "f(1)")
    batch = {"text": [fenced, broken, fenced.replace("return x", "return y")], "language": ["python"] * 3}
    assert ParsesGate(whole=True).judge(batch) == [None, BROKEN, None]
    assert ParsesGate().judge(batch) == [BROKEN, None, BROKEN]
    assert StaticGate(whole=True).judge(batch) == [None, None, "uses an undefined name"]
