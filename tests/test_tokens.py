"""Rows as token ids: joined without a token across the border, cut on the response side only."""

import pytest

from hf_select.demo.model import train_tokenizer
from hf_select.errors import ModelError, PackingError
from hf_select.rows import Row
from hf_select.templates import get_template
from hf_select.tokens import IGNORED, context_id, features, tokenize

PLAIN = get_template("plain")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["def add(a, b):\n    return a + b\n"] * 4, vocab_size=300)


def test_prompt_and_response_are_tokenised_apart(tokenizer):
    row = Row("def add(a, b):", "    return a + b")
    [tokenized] = tokenize([row], tokenizer, PLAIN, max_length=None, add_eos=True)
    assert tokenizer.decode(tokenized.prompt_ids) == row.prompt
    assert tokenizer.decode(tokenized.response_ids[:-1]) == row.response
    assert tokenized.response_ids[-1] == tokenizer.eos_token_id
    assert tokenized.n_truncated == 0


def test_only_the_response_is_cut(tokenizer):
    row = Row("return a", "return a + b return a + b")
    [whole] = tokenize([row], tokenizer, PLAIN, max_length=None, add_eos=True)
    room = len(whole.prompt_ids) + 3
    [cut] = tokenize([row], tokenizer, PLAIN, max_length=room, add_eos=True)
    assert cut.prompt_ids == whole.prompt_ids
    assert cut.response_ids == whole.response_ids[:3]
    assert cut.n_truncated == len(whole.response_ids) - 3


def test_a_prompt_that_fills_the_row_is_marked_or_named(tokenizer):
    rows = [Row("a", "b"), Row("return a + b " * 10, "b")]
    marked = tokenize(rows, tokenizer, PLAIN, max_length=8)
    assert [bool(row.response_ids) for row in marked] == [True, False]
    with pytest.raises(PackingError, match=r"Row 1: its prompt alone has .* fills max_length=8"):
        tokenize(rows, tokenizer, PLAIN, max_length=8, on_long_prompt="error")


def test_features_mask_the_prompt(tokenizer):
    tokenized = tokenize([Row("a", "b"), Row("a a", "b")], tokenizer, PLAIN, max_length=None)
    made = features(tokenized, row_ids=[7, 3])
    assert [row["row_id"] for row in made] == [7, 3]
    for row, source in zip(made, tokenized, strict=True):
        assert row["input_ids"] == source.prompt_ids + source.response_ids
        assert row["labels"] == [IGNORED] * len(source.prompt_ids) + source.response_ids


def test_the_context_is_bos_else_eos_else_nothing(tokenizer):
    assert context_id(tokenizer) == tokenizer.eos_token_id

    class Bare:
        bos_token_id = None
        eos_token_id = None

    assert context_id(Bare()) is None
    with pytest.raises(ModelError, match="no end-of-sequence token"):
        tokenize([Row("a", "b")], Bare(), PLAIN, max_length=None, add_eos=True)


def test_no_rows_no_tokens(tokenizer):
    assert tokenize([], tokenizer, PLAIN, max_length=8) == []
