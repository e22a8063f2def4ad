"""Words of classes: their tokens, and their probabilities from the fewest readings."""

import numpy as np
import pytest

from hf_select.demo.model import train_tokenizer
from hf_select.errors import ModelError
from hf_select.signals.verbaliser import Verbaliser, verbalise


def test_words_that_differ_in_their_last_token_share_a_reading(tokenizer) -> None:
    words = verbalise([0, 1, 3], tokenizer)
    assert [tokenizer.decode(word) for word in words.words] == [" 0", " 1", " 3"]
    assert len(words.targets) == 1
    assert words.n_positions == len(words.words[0])


def test_numbers_have_equally_many_digits(tokenizer) -> None:
    words = verbalise([0, 2, 10, 11], tokenizer)
    assert [tokenizer.decode(word) for word in words.words] == [" 00", " 02", " 10", " 11"]
    assert len(words.targets) == 2  # "0?" and "1?"


def test_probabilities_by_hand() -> None:
    """Words (5, 6), (5, 7) and (8,): two readings, (5 then 6 or 7) and (8)."""
    words = Verbaliser(((5, 6), (5, 7), (8,)))
    assert words.candidates == [5, 6, 7, 8]
    assert sorted(target.tolist() for target in words.targets) == [[5, 6], [8]]
    first = [target.tolist() for target in words.targets].index([5, 6]) == 0
    of_five, after_five = [-1.0, -9.0, -9.0, -2.0], [-9.0, -3.0, -4.0, -9.0]
    read = np.asarray([[of_five, after_five, of_five] if first else [of_five, of_five, after_five]])
    np.testing.assert_allclose(words.log_probabilities(read), [[-4.0, -5.0, -2.0]])


def test_every_token_of_every_word_is_read() -> None:
    """Against one reading per word, over random words of 1 to 3 tokens none of which begins with another."""
    rng = np.random.default_rng(0)
    n_shared = 0
    for _ in range(50):
        drawn = {tuple(rng.integers(0, 3, rng.integers(1, 4)).tolist()) for _ in range(6)}
        kept = tuple(
            sorted(word for word in drawn if not any(word != one and word[: len(one)] == one for one in drawn))
        )
        table = {}  # log probability of a token after a beginning
        words = Verbaliser(kept)
        for target in words.targets:
            for length in range(len(target)):
                table.setdefault(tuple(target[:length].tolist()), rng.normal(size=3))
        read = np.asarray(
            [[table[tuple(t[:i].tolist())][words.candidates] for t in words.targets for i in range(len(t))]]
        )
        expected = [sum(table[word[:length]][word[length]] for length in range(len(word))) for word in kept]
        np.testing.assert_allclose(words.log_probabilities(read)[0], expected)
        n_shared += len(words.targets) < len(kept)
    assert n_shared > 20


def test_a_tokenizer_without_digits_is_refused() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]")
    with pytest.raises(ModelError, match=r"does not tell the class numbers \[0, 1\] apart"):
        verbalise([0, 1], tokenizer)
    assert verbalise([0, 1], train_tokenizer(["a"], 270)).n_positions > 0
