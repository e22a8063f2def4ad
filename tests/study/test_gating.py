"""What a study leaves out before it cuts its files, and which of its rows hold a problem."""

import json

import pytest
from datasets import Dataset

from hf_select.errors import ColumnError, ConfigError, RowError
from hf_select.evaluation.problem import Problem
from hf_select.evaluation.task import load_coding_task
from hf_select.evaluation.task.humaneval_x import CompiledPassAtOne
from hf_select.experiment.run import Run
from hf_select.study.arguments import parse_study_arguments
from hf_select.study.corpus import NOTHING_DROPPED, SHARES_WORDS, UNKNOWN, Document
from hf_select.study.gating import find_pool_leaks, gate_corpus, problems_of
from hf_select.study.pool import Corpus, StudyPool, make_pool
from hf_select.study.reference import load_tasks

GOOD, BROKEN, C = "def f(x):\n    return x + 1\n", "def f(:\n", "int f(:\n"
JAVA, BROKEN_JAVA = "class A { int f() { return 1; } }\n", "class A { int f() { return 1; }\n"


@pytest.fixture(scope="module")
def humaneval():
    return load_coding_task("humaneval", max_problems=4)


@pytest.fixture
def prepare(tmp_path):
    """Arguments of words, and the run folder they name."""

    def prepare(*words):
        folder = tmp_path / f"run-{len(words)}"
        words = ["--dataset_name", "somewhere", "--output_dir", str(folder), *words]
        arguments = parse_study_arguments(words, description="", default_config=tmp_path)
        return Run.open(folder, arguments.settings(), resume=True, overwrite=False), arguments

    return prepare


def corpus_of(arguments, *documents):
    return Corpus(arguments.data, list(documents), dropped=NOTHING_DROPPED._replace(n_before=len(documents)))


def disguised(task, row):
    """A solution that no 13 words in a row give away: a comma behind every word."""
    return " ,".join(task.reference[row]["prompt"].split())


def test_every_file_is_read_in_its_own_language_and_counted_by_reason(prepare):
    run, arguments = prepare("--gates", "parses,duplicates")
    pairs = [
        *((GOOD, "python"), (BROKEN, "python"), (C, "c"), (JAVA, "java"), (BROKEN_JAVA, "java")),
        *((GOOD + "\n", "python"), ("not code", UNKNOWN)),
    ]
    found = gate_corpus(run, arguments, corpus_of(arguments, *(Document(*pair) for pair in pairs)), [])
    assert [document.text for document in found.documents] == [GOOD, C, JAVA, "not code"]
    assert found.dropped.counts == {"duplicate": 1, "does not parse": 2}
    assert (found.dropped.n_before, dict(found.dropped.not_checked)) == (7, {"parses": 2})


def test_files_of_unknown_language_are_in_the_one_that_is_named(prepare):
    run, arguments = prepare("--gates", "parses", "--gate_language", "python")
    found = gate_corpus(run, arguments, corpus_of(arguments, Document(GOOD, UNKNOWN), Document(BROKEN, UNKNOWN)), [])
    assert found.dropped.counts == {"does not parse": 1}


def test_the_words_of_a_task_are_a_reason_with_and_without_gates(prepare, humaneval):
    copied, other = Document(humaneval.reference[0]["prompt"], "python"), Document(GOOD, "python")
    hidden = Document(disguised(humaneval, 1), "english")
    run, arguments = prepare()
    plain = gate_corpus(run, arguments, corpus_of(arguments, copied, other, hidden), [humaneval])
    assert (plain.dropped.counts, plain.documents) == ({SHARES_WORDS: 1}, [other, hidden])
    assert not (run.folder / "stages").exists()
    run, arguments = prepare("--gates", "leakage")
    gated = gate_corpus(run, arguments, corpus_of(arguments, copied, other, hidden), [humaneval])
    assert (gated.dropped.counts, gated.documents) == ({"leaks humaneval (words)": 2}, [other])
    run, arguments = prepare("--gates", "leakage", "--no_gates")
    assert gate_corpus(run, arguments, corpus_of(arguments, hidden), [humaneval]).dropped.counts == {}


def test_a_run_that_goes_on_reads_the_verdicts(prepare, monkeypatch):
    run, arguments = prepare("--gates", "parses")
    corpus = corpus_of(arguments, Document(GOOD, "python"), Document(BROKEN, "python"))
    first = gate_corpus(run, arguments, corpus, [])
    monkeypatch.setattr("hf_select.study.gating.gate_rows", lambda *_, **__: pytest.fail("gated again"))
    assert gate_corpus(run, arguments, corpus, []) == first
    assert json.loads((run.folder / "stages" / "gates.json").read_text())["result"]["keep"] == [0]


def test_rows_with_a_prompt_are_cut_to_the_first_and_read_in_the_language_of_their_column(prepare, byte_tokenizer):
    rows = Dataset.from_dict({
        "prompt": list("abcd"), "completion": [GOOD, BROKEN, BROKEN, GOOD], "kind": ["py", "py", "brainf", "py"],
    })  # fmt: skip
    words = ("--gates", "parses", "--language_column", "kind", "--max_rows", "3", "--template", "plain")
    run, arguments = prepare(*words)
    found = gate_corpus(run, arguments, Corpus(arguments.data, [], rows), [])
    assert found.rows["prompt"][:] == ["a", "c"]
    assert (found.dropped.counts, found.dropped.n_before) == ({"does not parse": 1}, 3)
    pool = make_pool(found, byte_tokenizer)
    assert (len(pool), pool.languages, pool.dropped) == (2, ["py", "brainf"], found.dropped)


def test_gates_that_do_not_fit_are_refused(prepare, humaneval):
    run, arguments = prepare("--gates", "runs", "--allow_code_eval")
    corpus = corpus_of(arguments, Document(GOOD, "python"))
    with pytest.raises(ColumnError, match=r"gates=runs executes rows with tests .* but \['text', 'language'\]"):
        gate_corpus(run, arguments, corpus, [humaneval])
    run, arguments = prepare("--gates", "leakage")
    for tasks in (load_tasks("demo", Corpus.load(parse_demo(prepare)), max_rows=4), [Unmeasured()]):
        with pytest.raises(ConfigError, match="looks for problems of --tasks"):
            gate_corpus(run, arguments, corpus, tasks)
    run, arguments = prepare("--gates", "parses")
    with pytest.raises(RowError, match="let none of the 1 rows through"):
        gate_corpus(run, arguments, corpus_of(arguments, Document(BROKEN, "python")), [])


def parse_demo(prepare):
    _, arguments = prepare("--dataset_name", "demo", "--demo_rows", "40", "--demo_test_problems", "4")
    return arguments.data


class Unmeasured:
    name, measurement, reference = "bird_sql", None, ()


class Java:
    name = "humaneval_java"

    def __init__(self):
        body = "  int one() { return 1; }\n}\n"
        record = {"task_id": "Java/0", "prompt": "class A {\n", "canonical_solution": body, "test": ""}
        self.measurement = CompiledPassAtOne("java", [record])


def test_which_tasks_have_problems(prepare, humaneval):
    [demo] = load_tasks("demo", Corpus.load(parse_demo(prepare)), max_rows=4)
    found = problems_of([humaneval, demo, Unmeasured(), Java()])
    assert {name: len(problems) for name, problems in found.items()} == {"humaneval": 4, "demo": 4, "humaneval_java": 1}
    [problem] = found["humaneval_java"]
    assert (problem.task_id, problem.solution) == ("Java/0", "class A {\n  int one() { return 1; }\n}\n")


def test_leaks_are_looked_for_once_and_never_in_the_demo(prepare, humaneval, monkeypatch):
    texts = Dataset.from_dict({"text": [GOOD, disguised(humaneval, 2), "x"]})
    pool = StudyPool("p", texts, texts, ["python"] * 3, [0, 1, 2])
    run, _ = prepare()
    assert find_pool_leaks(run, pool, {"demo": [Problem("d", "", "f", GOOD, ())]}) == []
    problems = problems_of([humaneval])
    task_id = humaneval.measurement.problems[2].task_id
    assert find_pool_leaks(run, pool, problems) == [[1, "humaneval", task_id, "words"]]
    monkeypatch.setattr("hf_select.study.gating.find_leaks", lambda *_, **__: pytest.fail("looked for again"))
    assert find_pool_leaks(run, pool, problems) == [[1, "humaneval", task_id, "words"]]
