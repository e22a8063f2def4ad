"""A classifier and its loss head trained together, and the cut between them."""

from types import SimpleNamespace

import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.loss_head import LossHead, ranking_loss
from hf_select.training.joint_loss import CutGradient, JointLoss, load_loss_head, save_loss_head


@pytest.fixture
def model():
    from transformers import RobertaConfig, RobertaForSequenceClassification

    config = RobertaConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=20, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return RobertaForSequenceClassification(config)


@pytest.fixture
def batch():
    ids = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1], [0, 8, 9, 2], [0, 3, 4, 2]])
    return {"input_ids": ids, "attention_mask": (ids != 1).long(), "labels": torch.tensor([0, 1, 1, 0])}


def test_the_loss_is_the_sum_of_both(model, batch):
    head = LossHead.for_model(model)
    outputs = model(**batch, output_hidden_states=True)
    losses = torch.nn.functional.cross_entropy(outputs.logits, batch["labels"], reduction="none")
    predicted = head(head.pool(outputs.hidden_states, batch["attention_mask"]))
    for weight in (1.0, 0.25):
        found = JointLoss(model, head, weight=weight)(**batch)
        assert found["loss"].item() == pytest.approx(
            (outputs.loss + weight * ranking_loss(predicted, losses)).item(), abs=1e-6
        )
        assert torch.equal(found["logits"], outputs.logits)


def gradient_of(model, batch, *, is_cut):
    joint = JointLoss(model, LossHead.for_model(model))
    joint.is_cut = is_cut
    model.zero_grad()
    joint(**batch)["loss"].backward()
    assert all(parameter.grad is not None for parameter in joint.head.parameters())
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_after_the_cut_the_classifier_learns_as_if_it_were_alone(model, batch):
    model.zero_grad()
    model(**batch).loss.backward()
    alone = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert torch.allclose(gradient_of(model, batch, is_cut=True), alone, atol=1e-7)
    assert not torch.allclose(gradient_of(model, batch, is_cut=False), alone, atol=1e-4)


def test_the_cut_comes_after_sixty_per_cent_of_the_steps(model):
    joint = JointLoss(model, LossHead.for_model(model))
    callback = CutGradient(joint)
    cut = []
    for step in range(10):
        callback.on_step_begin(None, SimpleNamespace(global_step=step, max_steps=10), None)
        cut.append(joint.is_cut)
    assert cut == [False] * 6 + [True] * 4


def test_a_head_comes_back_bit_by_bit(model, tmp_path):
    head = LossHead.for_model(model, seed=3)
    save_loss_head(head, tmp_path)
    loaded = load_loss_head(tmp_path, model)
    assert not loaded.training
    assert all(torch.equal(first, second) for first, second in zip(head.parameters(), loaded.parameters(), strict=True))
    with pytest.raises(ModelError, match=r"no loss_head\.safetensors"):
        load_loss_head(tmp_path / "elsewhere", model)
