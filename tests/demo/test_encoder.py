"""The encoder of the demo: its tokenizer frames texts, and pre-training hides bodies alone."""

import pytest
import torch

from hf_select.demo.encoder import (
    BodyMasking,
    body_features,
    build_encoder,
    matching_features,
    pretrain_encoder,
    train_encoder_tokenizer,
)
from hf_select.demo.planted_bug import draw_corpus


@pytest.fixture(scope="module")
def corpus():
    return draw_corpus(0, 60, apart_from=[])


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return train_encoder_tokenizer(corpus)


def test_a_text_is_framed_and_comes_back(tokenizer, corpus):
    ids = tokenizer(corpus[0])["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert tokenizer.decode(ids, skip_special_tokens=True) == corpus[0]


def test_a_long_text_is_cut_between_its_frame(tokenizer, corpus):
    ids = tokenizer(corpus[0] * 20, truncation=True)["input_ids"]
    assert len(ids) == tokenizer.model_max_length == 128
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


def test_the_body_is_what_follows_the_docstring(tokenizer, corpus):
    for code, row in zip(corpus, body_features(corpus, tokenizer), strict=True):
        body = code.splitlines(keepends=True)[2]
        assert tokenizer.decode(row["body"]) == f" {body.lstrip()}"  # the line break takes three of four blanks


def test_only_bodies_are_hidden_and_most_tokens_stay(tokenizer, corpus):
    features = body_features(corpus, tokenizer)
    masking = BodyMasking(tokenizer, 0, bodies=[token for row in features for token in row["body"]])
    batch = masking(features)
    n_selected = 0
    for place, row in enumerate(features):
        end = len(row["input_ids"]) - 1
        labels, ids = batch["labels"][place], batch["input_ids"][place]
        selected = labels != -100
        assert not selected[: end - len(row["body"])].any()
        assert not selected[end:].any()
        whole = torch.tensor(row["input_ids"])
        assert torch.equal(torch.where(selected[: end + 1], labels[: end + 1], ids[: end + 1]), whole)
        n_selected += int(selected.sum())
    n_body = sum(len(row["body"]) for row in features)
    assert 0.2 < n_selected / n_body < 0.4
    hidden = int((batch["input_ids"] == tokenizer.mask_token_id).sum())
    assert 0.35 < hidden / n_selected < 0.65


def test_the_seed_alone_decides_the_weights(tokenizer):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second, third = (build_encoder(tokenizer, seed, hidden=16, layers=1, heads=2) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [model.roberta.embeddings.word_embeddings.weight for model in (first, second, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_half_of_the_pairs_have_another_function_s_body(tokenizer, corpus):
    pairs = matching_features(corpus, tokenizer, 0)
    assert len(pairs) == 120
    right = {tuple(tokenizer(code)["input_ids"]) for code in corpus}
    assert [pair["labels"] for pair in pairs] == [int(tuple(pair["input_ids"]) not in right) for pair in pairs]
    assert 50 <= sum(pair["labels"] for pair in pairs) <= 60  # a draw may give a function its own body
    heads = [code.splitlines()[:2] for code in corpus]
    swapped = [tokenizer.decode(pair["input_ids"], skip_special_tokens=True) for pair in pairs[60:]]
    assert [code.splitlines()[:2] for code in swapped] == heads
    assert matching_features(corpus, tokenizer, 0) == pairs != matching_features(corpus, tokenizer, 1)


def test_pre_training_lowers_both_losses_and_saves_what_a_classifier_loads(corpus, tmp_path):
    short = {"learning_rate": 3e-3, "per_device_train_batch_size": 16, "logging_steps": 1}
    first = pretrain_encoder(corpus, tmp_path / "one", steps=(1, 1), **short)
    later = pretrain_encoder(corpus, tmp_path / "many", steps=(25, 40), **short)
    assert later["restoring_loss"] < first["restoring_loss"] - 0.3
    assert later["matching_loss"] < 0.8  # around ln 2 from the beginning: it must not run away
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    words = AutoTokenizer.from_pretrained(tmp_path / "many")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "many", num_labels=2)
    batch = words(corpus[:3], return_tensors="pt", padding=True)
    assert model(**batch).logits.shape == (3, 2)
    assert words.model_max_length == 128
