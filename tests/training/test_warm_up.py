"""Instruction dropout: every row with and without its prompt."""

import pytest

from hf_select.errors import ModelError
from hf_select.training.warm_up import warm_up_features


class Tokenizer:
    bos_token_id = None
    eos_token_id = 1


def test_every_row_comes_twice_with_the_loss_on_its_answer_alone():
    rows = [{"input_ids": [5, 6, 8, 1], "labels": [-100, -100, 8, 1]}]
    assert warm_up_features(rows, Tokenizer()) == [
        {"input_ids": [5, 6, 8, 1], "labels": [-100, -100, 8, 1]},
        {"input_ids": [1, 8, 1], "labels": [-100, 8, 1]},
    ]


def test_the_context_is_the_beginning_of_sequence_where_there_is_one():
    tokenizer = Tokenizer()
    tokenizer.bos_token_id = 3
    (_, alone) = warm_up_features([{"input_ids": [5, 8], "labels": [-100, 8]}], tokenizer)
    assert alone == {"input_ids": [3, 8], "labels": [-100, 8]}


def test_a_tokenizer_without_either_is_refused():
    tokenizer = Tokenizer()
    tokenizer.eos_token_id = None
    with pytest.raises(ModelError, match="give the tokenizer a BOS or an EOS"):
        warm_up_features([], tokenizer)
