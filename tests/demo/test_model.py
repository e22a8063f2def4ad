"""Tokenizer and model made from nothing."""

import pytest
import torch

from hf_select.demo import build_model, build_pool, train_tokenizer
from hf_select.errors import ModelError


@pytest.fixture(scope="module")
def texts():
    train = build_pool(0, n_rows=300, n_test=5, n_validation=5).train
    return [prompt + completion for prompt, completion in zip(train["prompt"], train["completion"], strict=True)]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return train_tokenizer(texts, vocab_size=400)


def test_any_text_comes_back_unchanged(tokenizer, texts):
    strange = ["", "é ☃ \x00\r\n\t", "don 't do this .", "  \n\n    return  1", "<pad", "日本語"]
    for text in [*texts, *strange]:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_are_single_tokens(tokenizer):
    assert [tokenizer.decode([token]) for token in tokenizer("x > 2048")["input_ids"]][-4:] == ["2", "0", "4", "8"]


def test_special_tokens_and_size(tokenizer):
    assert len(tokenizer) == 400
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, None)
    assert tokenizer.padding_side == "left"
    assert tokenizer("ab")["input_ids"][0] != tokenizer.bos_token_id
    batch = tokenizer(["a", "a b c d"], padding=True)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["attention_mask"][0][0] == 0


def test_training_is_deterministic_and_shortens_the_text(texts, tokenizer):
    again = train_tokenizer(texts, vocab_size=400)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert len(tokenizer(texts[0])["input_ids"]) < len(texts[0]) / 2


def test_a_vocabulary_without_room_for_the_bytes_is_refused(texts):
    with pytest.raises(ModelError, match="vocab_size=100"):
        train_tokenizer(texts, vocab_size=100)


def test_the_tokenizer_survives_a_round_trip_through_a_folder(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "def f(xs):\n    return xs\n"
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded.padding_side == "left"
    assert loaded.pad_token_id == 0


def test_the_seed_decides_the_weights_and_the_global_generator_stays(tokenizer):
    torch.manual_seed(11)
    state = torch.get_rng_state()
    first, same, other = (build_model(tokenizer, seed, hidden=32, layers=1) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_the_default_is_the_size_that_was_measured(texts):
    model = build_model(train_tokenizer(texts, vocab_size=512))
    assert 450_000 < model.num_parameters() < 520_000
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert 0.055 < model.lm_head.weight.std().item() < 0.065
    assert model.dtype == torch.float32


def test_generation_stops_at_the_end_token_and_pads_on_the_left(tokenizer):
    model = build_model(tokenizer, hidden=32, layers=1)
    batch = tokenizer(["a", "def f(xs):"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(**batch, max_new_tokens=3, do_sample=False)
    assert tokens.shape[1] <= batch["input_ids"].shape[1] + 3
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_further_fields_reach_the_configuration(tokenizer):
    assert build_model(tokenizer, hidden=32, layers=1, rms_norm_eps=0.5).config.rms_norm_eps == 0.5


def test_heads_must_divide_the_width(tokenizer):
    with pytest.raises(ModelError, match="heads=5"):
        build_model(tokenizer, hidden=32, heads=5)
