"""Losses of rows: which there are, what they are called by, what is refused."""

import numpy as np
import pytest
import torch

from hf_select.errors import RowError
from hf_select.rows import Row, RowFormat
from hf_select.signals.gradients.loss import LabelLoss, ResponseLoss, make_loss
from hf_select.signals.models import Models
from hf_select.signals.source import Options, Source


def source(rows, model, tokenizer):
    return Source(rows, RowFormat("completion"), Models(model, tokenizer), Options(progress=False, cache_dir=False))


def test_the_kind_of_model_decides(make_model, make_classifier, tokenizer):
    rows = [Row("a", "b", 1), Row("", ""), Row("a", ""), Row("a", "b")]
    response = make_loss(source(rows, make_model("llama"), tokenizer))
    assert isinstance(response, ResponseLoss)
    assert (response.lengths > 0).tolist() == [True, False, False, True]
    label = make_loss(source(rows, make_classifier("roberta"), tokenizer))
    assert isinstance(label, LabelLoss)
    assert (label.lengths > 0).tolist() == [True, False, False, False]


def test_a_sigmoid_head_has_two_classes(make_classifier, some_texts):
    texts, _ = some_texts
    loss = LabelLoss(make_classifier("roberta", num_labels=1, problem_type=None), texts, [0, 1, 1, 0, 1])
    with torch.no_grad():
        found = loss.batch(np.arange(5)).losses()
        logits = torch.cat([loss.model(torch.from_numpy(text[None].astype(np.int64))).logits[0] for text in texts])
    probability = torch.sigmoid(logits)
    expected = -torch.log(torch.where(torch.tensor([0, 1, 1, 0, 1]) == 1, probability, 1 - probability))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_labels_the_model_does_not_have_are_refused(make_classifier, some_texts):
    texts, _ = some_texts
    with pytest.raises(RowError, match=r"2 labels are not among the 3 classes.*\(1, 3\), \(2, -1\)"):
        LabelLoss(make_classifier("roberta"), texts, [0, 3, -1, None, 1])


def test_the_identity_follows_tokens_and_labels(make_classifier, some_texts, make_model, response_loss, some_segments):
    texts, labels = some_texts
    model = make_classifier("roberta")
    first = LabelLoss(model, texts, labels).identity
    assert LabelLoss(model, texts, labels).identity == first
    assert LabelLoss(model, texts, [*labels[:4], None]).identity != first
    assert LabelLoss(model, texts[::-1], labels).identity != first
    llama = make_model("llama")
    assert response_loss(llama).identity != response_loss(llama, some_segments[::-1]).identity


def test_a_long_sum_is_a_mean_of_each_rows_own_tokens(make_model, response_loss, plain_nll):
    loss = response_loss(make_model("llama"))
    with torch.no_grad():
        together = loss.batch(np.arange(7)).losses()
    np.testing.assert_allclose(together, plain_nll(loss.model, loss.segments), rtol=1e-5)
