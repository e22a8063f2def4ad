"""Texts as ids: special tokens stay, blank texts are not read, what is cut is counted."""

import copy
import logging

import pytest
from tokenizers.processors import TemplateProcessing

from hf_select.signals.classifier_encoding import encode_texts


@pytest.fixture
def framed(tokenizer):
    """A tokenizer that puts a token before and one behind every text, as those of encoders do."""
    framed = copy.deepcopy(tokenizer)
    framed.backend_tokenizer.post_processor = TemplateProcessing(
        single="<eos> $A <eos>", pair="<eos> $A <eos> $B <eos>", special_tokens=[("<eos>", 1)]
    )
    return framed


def test_special_tokens_survive_the_cut(framed) -> None:
    texts = ["add " * 50, "", "x", " "]
    long, empty, short, blank = encode_texts(texts, framed, 8)
    assert (len(long), len(empty), len(short), len(blank)) == (8, 0, 3, 0)
    assert (long[0], long[-1], short[-1]) == (1, 1, 1)
    assert len(encode_texts(texts, framed, None)[0]) > 50


def test_what_is_cut_is_told_once(framed, caplog) -> None:
    texts = ["add " * 50] * 1500 + ["x"] * 600 + [" " * 99]
    with caplog.at_level(logging.WARNING, "hf_select"):
        told = encode_texts(texts, framed, 8)
        encode_texts(texts, framed, 8, tells=False)
    assert [len(told)] + [len(told[row]) for row in (0, 1499, 1500, 2100)] == [2101, 8, 8, 3, 0]
    assert [record.getMessage() for record in caplog.records] == [
        "1500 of 2101 texts are longer than max_length=8 tokens; what comes after is not read."
    ]
