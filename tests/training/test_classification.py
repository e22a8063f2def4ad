"""Features of labelled rows, and classifiers whose head a seed draws."""

import pytest
import torch

from hf_select.demo.encoder import build_encoder, train_encoder_tokenizer
from hf_select.errors import ModelError, RowError
from hf_select.rows import Row
from hf_select.training.classification import classification_features, load_classifier


@pytest.fixture(scope="module")
def tokenizer():
    return train_encoder_tokenizer(["some words and some more"])


def test_features_are_what_the_classifier_pass_reads(tokenizer):
    from hf_select.signals.classifier_encoding import encode_texts

    rows = [Row("some words", "", 1), Row("and some more words", "", 0)]
    found = classification_features(rows, tokenizer, 128)
    assert [row["labels"] for row in found] == [1, 0]
    read = encode_texts([row.prompt for row in rows], tokenizer, 128)
    assert [row["input_ids"] for row in found] == [ids.tolist() for ids in read]


def test_a_long_row_keeps_its_frame(tokenizer):
    [row] = classification_features([Row("some words " * 40, "", 1)], tokenizer, 10)
    assert len(row["input_ids"]) == 10
    assert row["input_ids"][-1] == tokenizer.sep_token_id


def test_rows_that_cannot_be_learned_are_refused(tokenizer):
    with pytest.raises(RowError, match=r"2 rows have no label \(first: \[0, 2\]\)"):
        classification_features([Row("a", ""), Row("b", "", 1), Row("c", "")], tokenizer, 8)
    with pytest.raises(RowError, match="1 rows have no text"):
        classification_features([Row("\n ", "", 1)], tokenizer, 8)


@pytest.fixture(scope="module")
def fine_tuned(tokenizer, tmp_path_factory):
    """A checkpoint of two classes that has a head already."""
    folder = tmp_path_factory.mktemp("fine_tuned")
    build_encoder(tokenizer, hidden=16, layers=2, heads=2).save_pretrained(folder)
    model = load_classifier(folder, tokenizer, 2, seed=5)
    model.save_pretrained(folder)
    return folder


def head(model):
    return model.classifier.out_proj.weight


def test_a_head_that_was_trained_is_kept_unless_a_new_one_is_asked_for(fine_tuned, tokenizer):
    kept = [load_classifier(fine_tuned, tokenizer, 2, seed=seed) for seed in (0, 1)]
    assert torch.equal(head(kept[0]), head(kept[1]))
    new = [load_classifier(fine_tuned, tokenizer, 2, seed=seed, new_head=True) for seed in (0, 0, 1)]
    assert torch.equal(head(new[0]), head(new[1]))
    assert not torch.equal(head(new[0]), head(new[2]))
    assert not torch.equal(head(new[0]), head(kept[0]))
    bodies = [model.base_model.state_dict() for model in (kept[0], *new)]
    assert all(torch.equal(bodies[0][name], body[name]) for body in bodies for name in body)


def test_a_new_head_has_the_classes_that_are_asked_for(fine_tuned, tokenizer):
    model = load_classifier(fine_tuned, tokenizer, 4, new_head=True)
    assert (head(model).shape[0], model.config.num_labels) == (4, 4)


def test_a_tokenizer_of_another_model_is_refused(fine_tuned):
    large = train_encoder_tokenizer(["some words and some more"])
    large.add_tokens([f"<extra_{number}>" for number in range(99)])
    with pytest.raises(ModelError, match="use the model's own tokenizer"):
        load_classifier(fine_tuned, large, 2)
