import gzip
import json
import math
import random

import numpy as np
import pytest
from datasets import Dataset

from hf_select import select
from hf_select.errors import ConfigError
from hf_select.methods.representativeness.bm25 import BM25, query_weights
from hf_select.signals.keys import ROW_TEXT
from hf_select.signals.table import Signals

ROWS = ["def add ( a , b )", "def sub ( a , b )", "class foo", "import os", "print ( x )"]
QUERIES = ["def add", "import sys os"]


def signals_of(rows, tasks, **masks):
    reference = {task: Signals({ROW_TEXT: np.asarray(texts, dtype=object)}) for task, texts in tasks.items()}
    return Signals({ROW_TEXT: np.asarray(rows, dtype=object)}, reference=reference, **masks)


def pick(rows, tasks, k=None, **fields):
    return BM25(**fields).pick(signals_of(rows, tasks), k or len(rows), np.random.default_rng(0))


def scores_of(rows, tasks, **fields):
    """Scores in row order."""
    indices, scores = pick(rows, tasks, **fields)
    return scores[np.argsort(indices)]


def plain(rows, tasks, *, k1=1.5, b=0.75, variant="lucene"):
    """The formulas, one row, query and term at a time, on words between white space."""
    documents = [row.split() for row in rows]
    n, average = len(documents), sum(map(len, documents)) / len(documents)

    def idf(term):
        n_with = sum(term in document for document in documents)
        if variant == "lucene":
            return math.log(1 + (n - n_with + 0.5) / (n_with + 0.5))
        return math.log(n - n_with + 0.5) - math.log(n_with + 0.5)

    every = {term: idf(term) for document in documents for term in document}
    floor = 0.25 * sum(every.values()) / len(every)
    worth = {t: floor if variant == "okapi" and value < 0 else value for t, value in every.items()}

    def score(document, query):
        total = 0.0
        for term in query.split():
            f = document.count(term)
            saturated = f / (f + k1 * (1 - b + b * len(document) / average))
            total += worth.get(term, 0.0) * saturated * (k1 + 1 if variant == "okapi" else 1)
        return total

    return [np.mean([np.mean([score(d, q) for q in queries]) for queries in tasks.values()]) for d in documents]


def random_texts(n, seed, n_words=12):
    rng = random.Random(seed)
    return [" ".join(rng.choice("abcdefghijkl") for _ in range(rng.randrange(1, n_words))) for _ in range(n)]


@pytest.mark.parametrize(
    ("variant", "query", "expected"),
    [
        ("okapi", QUERIES[:1], [1.133639, 0.265795, 0, 0, 0]),
        ("okapi", QUERIES[1:], [0, 0, 0, 2.911984, 0]),
        ("okapi", QUERIES, [0.566820, 0.132897, 0, 1.455992, 0]),
        ("lucene", QUERIES, [0.357334, 0.138315, 0, 0.734903, 0]),
    ],
)
def test_golden_values(variant, query, expected):
    scores = scores_of(ROWS, {"task": query}, variant=variant, terms="whitespace")
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_golden_order():
    for variant in ("okapi", "lucene"):
        assert pick(ROWS, {"task": QUERIES}, variant=variant, terms="whitespace").indices.tolist() == [3, 0, 1, 2, 4]


@pytest.mark.parametrize("variant", ["lucene", "okapi"])
@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.0), (2.0, 1.0)])
def test_scores_are_those_of_a_plain_loop_with_several_tasks_and_repeated_terms(variant, k1, b):
    rows = random_texts(40, 0)
    tasks = {"one": ["a a b", "z"], "two": random_texts(5, 1), "three": ["c"]}
    scores = scores_of(rows, tasks, terms="whitespace", variant=variant, k1=k1, b=b)
    np.testing.assert_allclose(scores, plain(rows, tasks, variant=variant, k1=k1, b=b), rtol=1e-12)
    assert len(set(scores.tolist())) > 20


def test_common_terms_get_the_floor_of_okapi_and_half_the_rows_get_nothing():
    rows = ["a b", "a b", "a c", "d e"]  # a stands in more than half of the rows, b in half
    assert scores_of(rows, {"task": ["b"]}, terms="whitespace", variant="okapi").tolist() == [0, 0, 0, 0]
    scores = scores_of(rows, {"task": ["a"]}, terms="whitespace", variant="okapi")
    np.testing.assert_allclose(scores, plain(rows, {"task": ["a"]}, variant="okapi"))
    assert scores[0] > 0


@pytest.mark.parametrize("variant", ["lucene", "okapi"])
def test_against_the_pool_a_row_is_not_its_own_reference(variant):
    rows = random_texts(30, 2)
    scores = scores_of(rows, {}, terms="whitespace", variant=variant, self_pool=True)
    for row in range(len(rows)):
        rest = {"rest": rows[:row] + rows[row + 1 :]}
        np.testing.assert_allclose(scores[row], plain(rows, rest, variant=variant)[row], rtol=1e-10, atol=1e-14)


def test_a_row_alone_in_the_pool_has_score_zero():
    assert scores_of(["a b"], {}, self_pool=True).tolist() == [0.0]


def test_frequencies_and_lengths_are_those_of_the_candidates():
    others = ["def def def", "os import " * 40]
    signals = signals_of(ROWS + others, {"task": QUERIES}, candidates=np.arange(7) < 5)
    indices, scores = BM25(terms="whitespace").pick(signals, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(scores, pick(ROWS, {"task": QUERIES}, terms="whitespace").scores)
    assert indices.tolist() == [3, 0, 1, 2, 4]


def test_terms_of_code_find_a_name_in_another_spelling():
    rows = ["x = 1", "def read_file(): pass", "def write(): pass"]
    assert pick(rows, {"task": ["readFile()"]}, k=1).indices.tolist() == [1]
    assert scores_of(rows, {"task": ["readFile()"]}, terms="whitespace").tolist() == [0, 0, 0]


def test_equal_rows_go_by_row_id():
    assert pick(["b", "a b", "c", "a b"], {"task": ["a"]}).indices.tolist() == [1, 3, 0, 2]


def test_rows_without_text_are_not_eligible_and_reference_rows_without_text_do_not_count():
    signals = signals_of(["", "a", " \n"], {"task": ["a", "", "  "]})
    method = BM25()
    assert {reason: mask.tolist() for reason, mask in method.exclusions(signals).items()} == {
        "no text": [True, False, True]
    }
    with pytest.warns(UserWarning, match="only 1 are eligible"):
        indices, scores = method.pick(signals, 3, np.random.default_rng(0))
    assert indices.tolist() == [1]
    assert scores.tolist() == scores_of(["a"], {"task": ["a"]}).tolist()


def test_rows_of_operators_alone_have_no_terms():
    assert scores_of(["+ +", "- -"], {"task": ["a"]}).tolist() == [0, 0]
    assert scores_of(["+ +", "- -"], {"task": ["*"]}, variant="okapi").tolist() == [0, 0]


def test_without_reference_rows_it_is_refused():
    with pytest.raises(ConfigError, match=r"none came; give reference=.*or self_pool=True"):
        pick(ROWS, {})
    with pytest.raises(ConfigError, match="No reference row of task 'two' has a text"):
        pick(ROWS, {"one": ["a"], "two": [""]})
    assert BM25().needs_reference
    assert not BM25(self_pool=True).needs_reference


@pytest.mark.parametrize("fields", [{"k1": 0}, {"b": -0.1}, {"b": 1.1}, {"b": True}, {"terms": "bpe"}])
def test_wrong_fields_are_refused(fields):
    (name,) = fields
    with pytest.raises(ConfigError, match=f"^{name}="):
        BM25(**fields)


def test_weights_are_the_mean_over_tasks_of_the_mean_over_queries():
    assert query_weights([[["a", "a"], ["b"]], [["a"]]]) == {"a": (1.0 + 1.0) / 2, "b": 0.25}


def test_from_a_dataset_to_picks_without_a_model():
    dataset = Dataset.from_dict({"prompt": ["Sort a list", "Open a file"], "completion": ["sorted(xs)", "open(path)"]})
    aim = Dataset.from_dict({"prompt": ["Which file?"], "completion": ["with open(name) as file:"]})
    assert select(dataset, BM25(), 1, reference={"files": aim}).indices.tolist() == [1]


@pytest.mark.data
@pytest.mark.parametrize("language", ["Elixir", "Java", "Tcl", "PowerShell"])
def test_solutions_in_a_language_are_nearest_to_others_in_that_language(shared_data, language):
    with gzip.open(shared_data / "small" / "instruct_2000.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["language"]]
    aim = [row["output"] for row in rows if row["language"] == language][:5]
    rest = [row for row in rows if row["output"] not in aim]
    n_there = sum(row["language"] == language for row in rest)
    indices = pick([row["output"] for row in rest], {language: aim}, k=n_there).indices
    hit_fraction = sum(rest[row]["language"] == language for row in indices) / n_there
    assert hit_fraction > 0.4 > 10 * n_there / len(rest) > 0
