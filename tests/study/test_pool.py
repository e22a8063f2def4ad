"""Windows of files and rows with prompts, as the study trains on them and scores them."""

from dataclasses import replace

import pytest

from hf_select.errors import ConfigError
from hf_select.study.arguments import StudyDataArguments
from hf_select.study.corpus import Document
from hf_select.study.leak import found_in
from hf_select.study.pool import Corpus, make_pool
from hf_select.tokens import IGNORED

DATA = StudyDataArguments(dataset_name="somewhere", max_length=20, max_rows_per_file=100)


def test_the_windows_of_a_file_are_the_file_and_its_end(byte_tokenizer):
    text = "".join(chr(97 + n % 26) for n in range(95))
    pool = make_pool(Corpus(DATA, [Document(text, "c")]), byte_tokenizer)
    ids = [token for window in pool.features["input_ids"] for token in window]
    assert byte_tokenizer.decode(ids) == text + byte_tokenizer.eos_token
    assert [len(window) for window in pool.features["input_ids"]] == [20, 20, 20, 20, 16]
    assert "".join(pool.plain_texts(range(5))) == text
    for row in pool.features:
        assert row["labels"] == [IGNORED, *row["input_ids"][1:]]
    assert (pool.languages, pool.files) == (["c"] * 5, [0] * 5)


def test_a_file_gives_some_windows_and_a_short_one_none(byte_tokenizer):
    documents = [Document("a" * 200, "c"), Document("b" * 14, "java"), Document("c" * 200, "sql")]
    pool = make_pool(Corpus(replace(DATA, max_rows_per_file=2), documents), byte_tokenizer)
    assert pool.languages == ["c", "c", "sql", "sql"]
    assert pool.files == [0, 0, 2, 2]
    assert len(make_pool(Corpus(replace(DATA, max_rows=3), documents), byte_tokenizer)) == 3


def test_rows_too_short_to_be_cut_are_refused(byte_tokenizer):
    with pytest.raises(ConfigError, match="No file"):
        make_pool(Corpus(DATA, [Document("a", "c")]), byte_tokenizer)
    with pytest.raises(ConfigError, match="max_length=8"):
        make_pool(Corpus(replace(DATA, max_length=8), [Document("a" * 99, "c")]), byte_tokenizer)


def test_the_rows_of_the_demo_learn_their_answer_and_tell_what_was_planted(byte_tokenizer):
    data = replace(DATA, dataset_name="demo", max_length=400, demo_rows=40, demo_test_problems=4)
    corpus = Corpus.load(data)
    pool = make_pool(corpus, byte_tokenizer)
    assert set(pool.languages) == {"ok", "wrong", "duplicate", "trivial"}
    for row, features in zip(corpus.demo.train, pool.features, strict=True):
        learned = [label for label in features["labels"] if label != IGNORED]
        assert byte_tokenizer.decode(learned) == row["completion"] + byte_tokenizer.eos_token
    same = [row for row in range(40) if corpus.texts[row] == corpus.texts[5]]
    assert {pool.files[row] for row in same} == {pool.files[5]}


class Task:
    reference = ({"prompt": "one two three four five six", "completion": "7 8 9 10 11 12 13 14"},
                 {"prompt": " ".join(map(str, range(30))), "completion": "x"})  # fmt: skip


def test_files_that_hold_part_of_a_task_are_found():
    shared = " ".join(map(str, range(5, 18)))
    documents = [Document(f"before {shared} after", "c"), Document(shared[:-3], "c"), Document("one two", "c")]
    assert found_in(documents, [Task()]) == [0]
    corpus = Corpus(DATA, documents).without([0])
    assert corpus.documents == documents[1:]
    assert corpus.dropped.n_leaking == 1
