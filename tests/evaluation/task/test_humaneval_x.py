import shutil

import pytest

from hf_select.errors import ConfigError
from hf_select.evaluation.task import load_coding_task
from hf_select.evaluation.task.humaneval_x import CompiledPassAtOne, close

needs_cpp = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")

CPP_ROW = {
    "task_id": "CPP/0",
    "prompt": "/* { add one */\nint inc(int x){\n",
    "canonical_solution": "    return x+1;\n}\n",
    "test": "#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (inc(1)==2);\n}\n",
}
ABSENT = {**CPP_ROW, "task_id": "CPP/1", "prompt": "#include <no/such.hpp>\nint inc(int x){\n"}


@pytest.mark.parametrize(
    ("prompt", "completion", "closed"),
    [
        ("int f(){\n", "  return 1;\n}\nint main(){}\n", "  return 1;\n}"),
        ("int f(){\n", "  if(x){ y(); }\n  return 1;", "  if(x){ y(); }\n  return 1;\n}"),
        ("int f(){ // {{\n", "  s = \"}\"; c = '}'; // }\n  /* } */ }", "  s = \"}\"; c = '}'; // }\n  /* } */ }"),
        ("class S {\n  int f() {\n", "    return 1;\n  }\n  int g() { return 2; }\n}\nclass T {}", None),
        ("class S {\n  int f() {\n", "    return 1;\n  }", "    return 1;\n  }\n}"),
        ("class S {\n  int f() {\n", "    while (true) {\n", "    while (true) {\n"),  # broke off: not to be repaired
        ("int f(){\n", '  s = "\\"}";\n}', '  s = "\\"}";\n}'),
        ("int f(){\n", "", "\n}"),
    ],
)
def test_a_completion_ends_where_its_braces_close(prompt, completion, closed):
    expected = "    return 1;\n  }\n  int g() { return 2; }\n}" if closed is None else closed
    assert close(prompt, completion) == expected


def test_rows_of_another_language_are_refused(write_rows):
    path = write_rows([CPP_ROW])
    assert len(load_coding_task("humaneval_cpp", path).reference) == 1
    with pytest.raises(ConfigError, match=r"needs rows whose task_id begins with 'Java/', and .* has 'CPP/0'"):
        load_coding_task("humaneval_java", path)


def test_rows_without_solutions_are_refused(write_rows):
    path = write_rows([{"name": "x", "prompt": "p", "tests": "t", "stop_tokens": []}])
    with pytest.raises(ConfigError, match=r"fields name, prompt, tests, stop_tokens.*HumanEval-X \(task_id, prompt"):
        load_coding_task("humaneval_java", path)


@pytest.mark.parametrize("source", [None, "THUDM/humaneval-x"])
def test_the_official_repository_is_read_beside_its_loading_script(source, monkeypatch):
    asked = []
    monkeypatch.setattr("datasets.load_dataset", lambda *args, **options: asked.append((args, options)) or [CPP_ROW])
    load_coding_task("humaneval_cpp", source)
    file = "hf://datasets/THUDM/humaneval-x/data/cpp/data/humaneval.jsonl"
    assert asked == [(("json", None), {"split": "train", "data_files": file})]


@needs_cpp
def test_pass_at_1(write_rows, answers):
    task = load_coding_task("humaneval_cpp", write_rows([CPP_ROW, ABSENT]))
    assert (task.metric, task.language) == ("pass@1", "cpp")
    assert task.reference[0] == {"prompt": CPP_ROW["prompt"], "completion": "    return x+1;\n}\n"}
    answers.update(
        {CPP_ROW["prompt"]: "    vector<int> v = {x, 1};\n    return v[0]+v[1];", ABSENT["prompt"]: "  return 2;"}
    )
    score = task.measure(None, None, allow_code_eval=True, progress=False, max_new_tokens=9)
    assert (score.value, score.n_problems, score.n_in_process) == (1.0, 1, 1)
    assert score.message.endswith("which cannot be asked here: no header <no/such.hpp>.")
    assert "\n}" in answers.asked["stop"]
    assert answers.asked["max_new_tokens"] == 9
    assert [sample.status for sample in score.samples] == ["passed", "refused"]


def test_without_a_compiler_there_is_no_metric(write_rows, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda tool: None)
    task = load_coding_task("humaneval_cpp", write_rows([CPP_ROW]))
    assert (task.metric, task.unmeasured) == (None, "pass@1 needs g++ on the PATH; install it.")
    with pytest.raises(ConfigError, match="has no metric here"):
        task.measure(None, None, allow_code_eval=True)


@pytest.mark.data
@pytest.mark.parametrize(("language", "n_own"), [("cpp", 163), ("java", 164)])
def test_every_canonical_solution_is_its_own_cut(shared_data, language, n_own):
    """But for one in C++, which has an include line of its tests below the function."""
    task = load_coding_task(f"humaneval_{language}", shared_data / "humaneval-x" / f"humaneval_{language}.jsonl.gz")
    assert len(task.reference) == 164
    pairs = [
        (close(row["prompt"], row["completion"] + "\nint more(){}\n"), row["completion"]) for row in task.reference
    ]
    assert sum(cut == whole.rstrip() for cut, whole in pairs) == n_own
    assert all(whole.startswith(cut) for cut, whole in pairs)


def solve(shared_data, language, n_problems):
    """Scores of the canonical solutions and of empty bodies, on a seeded draw."""
    path = shared_data / "humaneval-x" / f"humaneval_{language}.jsonl.gz"
    task = load_coding_task(f"humaneval_{language}", path, max_problems=n_problems)
    if task.measurement is None:
        pytest.skip(task.unmeasured)
    assert isinstance(task.measurement, CompiledPassAtOne)
    rows = range(len(task.reference))
    solved = task.measurement.grade(rows, task.reference["completion"][:], progress=False)
    empty = task.measurement.grade(rows, [""] * len(rows), progress=False)
    return [sample.status for sample in solved], [sample.status for sample in empty]


@pytest.mark.data
@pytest.mark.parametrize(("language", "n_problems"), [("cpp", 1), pytest.param("java", 1, marks=pytest.mark.slow)])
def test_canonical_solutions_pass_and_empty_bodies_do_not(shared_data, language, n_problems):
    solved, empty = solve(shared_data, language, n_problems)
    assert len(solved) == n_problems
    assert set(solved) <= {"passed", "refused"}  # refused: a header of the problem itself is not installed
    assert "passed" in solved
    assert "passed" not in empty


@needs_cpp
@pytest.mark.data
def test_the_tests_of_a_function_named_like_one_of_the_library_call_the_program(shared_data):
    path = shared_data / "humaneval-x" / "humaneval_cpp.jsonl.gz"
    task = load_coding_task("humaneval_cpp", path)
    (row_id,) = [row_id for row_id, row in enumerate(task.reference) if "int strlen(string str)" in row["prompt"]]
    wrong = task.measurement.grade([row_id] * 2, ["", "    return 7;\n}"], progress=False)
    assert [sample.passed for sample in wrong] == [False, False]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("language", ["cpp", "java"])
def test_all_canonical_solutions_pass_at_the_strongest_level(shared_data, language):
    """With 2 cores some 10 minutes in each language; ``refused``: a header of the problem is not installed."""
    path = shared_data / "humaneval-x" / f"humaneval_{language}.jsonl.gz"
    task = load_coding_task(f"humaneval_{language}", path, max_problems=None)
    if task.measurement is None:
        pytest.skip(task.unmeasured)
    solved = task.measurement.grade(range(164), task.reference["completion"][:], progress=False)
    assert len(solved) == 164
    assert [sample for sample in solved if sample.status not in ("passed", "refused")] == []
    assert sum(sample.passed is True for sample in solved) >= 160


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", ["cpp", "java"])
def test_twenty_canonical_solutions_pass_and_empty_bodies_do_not(shared_data, language):
    solved, empty = solve(shared_data, language, 20)
    assert len(solved) == 20
    assert set(solved) <= {"passed", "refused"}
    assert solved.count("passed") >= 18
    assert "passed" not in empty
