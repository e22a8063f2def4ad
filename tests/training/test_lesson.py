"""What a model is trained on: labelled rows make classifiers, all others language models."""

import pytest
from datasets import Dataset

from hf_select.demo.model import build_model, train_tokenizer
from hf_select.errors import RowError
from hf_select.training.lesson import make_lesson


@pytest.fixture(scope="module")
def words():
    return train_tokenizer(["add two numbers", "def f(a, b): return a + b"], 280)


@pytest.fixture(scope="module")
def model(words):
    return build_model(words, hidden=16, layers=1, heads=2, max_length=64)


def test_rows_with_a_response_are_packed_and_masked_on_the_prompt(model, words):
    rows = Dataset.from_dict({"prompt": ["add two", "add"], "completion": ["a + b", "a"]})
    lesson = make_lesson(model, rows, tokenizer=words, template="plain")
    assert lesson.packed
    assert len(lesson.features) == 2
    first = lesson.features[0]
    n_prompt = len(words("add two")["input_ids"])
    assert first["labels"][:n_prompt] == [-100] * n_prompt
    assert first["labels"][-1] == words.eos_token_id
    twice = make_lesson(model, rows, tokenizer=words, template="plain", instruction_dropout=True)
    assert len(twice.features) == 4


def test_plain_text_is_learned_once_and_whole(model, words):
    rows = Dataset.from_dict({"text": ["add two numbers"]})
    lesson = make_lesson(model, rows, tokenizer=words, instruction_dropout=True)
    [row] = lesson.features
    assert -100 not in row["labels"]


def test_the_length_of_the_model_is_the_limit_where_none_is_given(model, words):
    rows = Dataset.from_dict({"prompt": ["add"], "completion": ["a + b " * 60]})
    [row] = make_lesson(model, rows, tokenizer=words).features
    assert len(row["input_ids"]) == 64


def test_rows_without_room_teach_nothing(model, words):
    rows = Dataset.from_dict({"prompt": ["add two numbers " * 9], "completion": ["a"]})
    with pytest.raises(RowError, match="leaves room for a response within max_length=12"):
        make_lesson(model, rows, tokenizer=words, max_length=12)
