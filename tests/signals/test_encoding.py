"""The same scored tokens in every pass."""

import logging

import numpy as np
import pytest

from hf_select.rows import Row
from hf_select.signals.encoding import encode
from hf_select.signals.text import row_tokens, text_length
from hf_select.templates import get_template


def test_both_passes_score_the_same_tokens(tokenizer, rows) -> None:
    encoded = encode(rows, tokenizer, get_template("question"), max_length=30)
    conditional, alone = encoded.conditional(), encoded.alone()
    prefixed = encoded.alone(np.array([5, 6], np.int32))
    assert encoded.context == tokenizer.eos_token_id
    for row_id, row in enumerate(rows):
        response = tokenizer(row.response).input_ids
        prompt = tokenizer(f"Question:\n{row.prompt}\n\nAnswer:\n").input_ids
        kept = response[: max(0, 30 - len(prompt))]
        assert conditional[row_id].target.tolist() == alone[row_id].target.tolist() == kept
        assert encoded.n_scored[row_id] == len(kept)
        assert conditional[row_id].context.tolist() == (prompt if kept else prompt[:30])
        assert alone[row_id].context.tolist() == ([tokenizer.eos_token_id] if kept else [])
        assert prefixed[row_id].context.tolist() == ([5, 6] if kept else [])
    assert len(set(encoded.n_scored.tolist())) > 3


def test_without_a_context_token_no_pass_scores_the_first_token(tokenizer, rows, caplog) -> None:
    import copy

    bare = copy.deepcopy(tokenizer)
    bare.eos_token = None
    with caplog.at_level(logging.WARNING, "hf_select"):
        encoded = encode(rows, bare, get_template("plain"), max_length=None)
    assert "neither BOS nor EOS" in caplog.text
    conditional, alone = encoded.conditional(), encoded.alone()
    for row_id, row in enumerate(rows):
        response = bare(row.response).input_ids
        assert conditional[row_id].target.tolist() == alone[row_id].target.tolist() == response[1:]
        assert alone[row_id].context.tolist() == (response[:1] if len(response) > 1 else [])
        assert conditional[row_id].context.tolist() == bare(row.prompt).input_ids + response[:1]


def test_an_empty_prompt_is_the_context_token_within_max_length(tokenizer) -> None:
    row = Row("", "def add(a, b): return a + b")
    encoded = encode([row], tokenizer, get_template("plain"), max_length=5)
    (segment,) = encoded.conditional()
    assert segment.context.tolist() == [tokenizer.eos_token_id]
    assert segment.n_tokens == 5
    np.testing.assert_array_equal(segment.target, encoded.alone()[0].target)


def test_what_was_cut_is_told(tokenizer, caplog) -> None:
    rows = [Row("add", "x " * 40), Row("add " * 40, "x"), Row("add", "x")]
    with caplog.at_level(logging.WARNING, "hf_select"):
        encoded = encode(rows, tokenizer, get_template("plain"), max_length=20)
    assert "1 of 3 responses are cut to fit max_length=20; 1 rows have a prompt that alone fills it" in caplog.text
    assert encoded.n_scored[1] == 0
    assert max(segment.n_tokens for segment in encoded.conditional()) == 20


def test_the_end_can_be_scored(tokenizer) -> None:
    encoded = encode([Row("add", "x")], tokenizer, get_template("plain"), max_length=None, score_eos=True)
    assert encoded.conditional()[0].target.tolist()[-1] == tokenizer.eos_token_id


def test_text_signals(tokenizer) -> None:
    rows = [Row("ab", "cde"), Row("", ""), Row("añ", "c")]
    assert text_length(rows).tolist() == [5, 0, 3]
    encoded = encode(rows, tokenizer, get_template("plain"), max_length=3)
    full = [len(tokenizer(row.prompt).input_ids + tokenizer(row.response).input_ids) for row in rows]
    assert row_tokens(encoded, None).tolist() == full
    assert row_tokens(encoded, 3).tolist() == [min(3, n) for n in full]
    assert max(full) > 3


@pytest.mark.parametrize("n_rows", [0, 1, 1025])
def test_any_number_of_rows(tokenizer, n_rows) -> None:
    assert len(encode([Row("a", "b")] * n_rows, tokenizer, get_template("plain"), max_length=None).rows) == n_rows
