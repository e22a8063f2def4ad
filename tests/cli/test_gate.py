"""``hf-select select --gates``: rows that a gate refuses cannot be picked."""

import json

import pytest

from hf_select.selection import Selection


@pytest.fixture
def few(tmp_path):
    code = "def f(a):\n    return a + {}\n"
    lines = [{"prompt": f"p{number}", "completion": code.format(number)} for number in range(6)]
    lines += [lines[0], {"prompt": "q", "completion": "def f(:\n"}]
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_gates_come_before_the_budget(run, few, tmp_path):
    words = ("--dataset_name", few, "--method", "random", "--budget", "100%", "--gates", "parses,duplicates", "--json")
    status, out, err = run("select", *words, "--output_dir", tmp_path / "out")
    assert status == 0, err
    record = json.loads(out)
    assert record["gates"]["counts"] == {"duplicate": 1, "does not parse": 1}
    assert (record["n_candidates"], record["n_picked"]) == (6, 6)
    found = Selection.load(tmp_path / "out")
    assert sorted(found.indices.tolist()) == list(range(6))
    assert found.provenance["gates"]["counts"] == {"duplicate": 1, "does not parse": 1}
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| does not parse | 1 |" in report
    assert "(plots/gates.png)" in report
    drawn = json.loads((tmp_path / "out" / "plots" / "gates.json").read_text(encoding="utf-8"))["data"]
    assert drawn == {"dropped": {"duplicate": 1, "does not parse": 1}, "n_rows": 8, "n_passed": 6}


def test_kept_and_dropped_rows_by_language(run, few, tmp_path):
    rows = [json.loads(line) for line in few.read_text(encoding="utf-8").splitlines()]
    named = [row | {"language": "python" if number < 5 else "java"} for number, row in enumerate(rows)]
    few.write_text("".join(json.dumps(row) + "\n" for row in named), encoding="utf-8")
    words = ("--dataset_name", few, "--method", "random", "--budget", "4", "--seed", "3")
    status, _, err = run("select", *words, "--output_dir", tmp_path / "out")
    assert status == 0, err
    drawn = json.loads((tmp_path / "out" / "plots" / "languages.json").read_text(encoding="utf-8"))
    counted = drawn["data"]["strata"]
    assert {name: sum(of.values()) for name, of in counted.items()} == {"python": 5, "java": 3}
    assert sum(of["kept"] for of in counted.values()) == 4
    assert drawn["caption"] == "n = 8 rows in 2 strata, 4 rows kept. Seed 3."


def test_leakage_looks_for_the_benchmarks_that_are_named(run, few, tmp_path):
    problem = {"task_id": "0", "prompt": "def f(a):\n", "entry_point": "f", "test": "assert f(1)"}
    told = '    """Add the number three to what is given, which nobody asked for."""\n    return a + 3\n'
    (tmp_path / "mine.jsonl").write_text(json.dumps(problem | {"canonical_solution": told}), encoding="utf-8")
    words = ("--dataset_name", few, "--method", "random", "--budget", "5", "--gates", "leakage")
    status, out, err = run(
        *("select", *words, "--benchmarks", f"problems={tmp_path / 'mine.jsonl'}", "--output_dir", tmp_path / "out")
    )
    assert status == 0, err
    assert "Dropped by the gates: 1 rows, leaks problems (words)." in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--gates", "parse"), "Did you mean 'parses'"),
        (("--gates", "leakage", "--benchmarks", "humanevil"), "Unknown benchmark 'humanevil'"),
        (("--gates", "duplicates", "--budget", "8"), "8"),
        (("--gates", "runs"), "HF_ALLOW_CODE_EVAL"),
    ],
)
def test_bad_input(run, few, tmp_path, monkeypatch, words, message):
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    given = ("--dataset_name", few, "--method", "random", *(() if "--budget" in words else ("--budget", "2")))
    status, _, err = run("select", *given, *words, "--output_dir", tmp_path / "out")
    assert status == (1 if "--budget" in words else 2)  # how many rows are left is known when the gates ran
    assert message in err
    assert not (tmp_path / "out").exists()
