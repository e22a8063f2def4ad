"""The promise of packing: loss and gradients of every sample are what they are without it."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from hf_select.training import PACKED_ATTENTION, DynamicPackCollator, pack_dataset, packed_attention

FAMILIES = ("llama", "qwen2", "gpt2", "gpt_neox")
Losses = dict[tuple[int, ...], float]


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Loss at each flattened position for the label after it; 0 where none is counted."""
    targets = labels.flatten().roll(-1)
    targets[-1] = -100
    return F.cross_entropy(logits.flatten(0, 1), targets, reduction="none", ignore_index=-100)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def run_alone(model: Any, features: Any) -> tuple[Losses, dict[str, torch.Tensor], float]:
    """Each sample by itself: losses by tokens, the gradient of their sum, the mean per trained token."""
    losses, n_trained = {}, 0
    for feature in features:
        ids = torch.tensor([feature["input_ids"]])
        labels = torch.tensor([feature["labels"]])
        loss = token_losses(model(ids, use_cache=False).logits, labels).sum()
        loss.backward()
        losses[tuple(feature["input_ids"])] = loss.item()
        n_trained += int((labels[:, 1:] != -100).sum())
    return losses, gradients(model), sum(losses.values()) / n_trained


def run_packed(model: Any, batch: dict[str, Any]) -> tuple[Losses, dict[str, torch.Tensor], float]:
    output = model(**batch)
    per_token = token_losses(output.logits, batch["labels"])
    per_token.sum().backward()
    bounds, ids = batch["cu_seq_lens_q"].tolist(), batch["input_ids"].flatten()
    losses = {tuple(ids[a:b].tolist()): per_token[a:b].sum().item() for a, b in itertools.pairwise(bounds)}
    return {key: loss for key, loss in losses.items() if key[0] != 0}, gradients(model), output.loss.item()


def assert_equal(packed: Any, alone: Any) -> None:
    (packed_losses, packed_gradients, packed_mean), (losses, alone_gradients, mean) = packed, alone
    assert packed_losses == pytest.approx(losses, abs=1e-5, rel=1e-5)
    assert len(losses) == 6
    assert packed_mean == pytest.approx(mean, abs=1e-5)
    assert packed_gradients.keys() == alone_gradients.keys()
    for name, gradient in alone_gradients.items():
        scale = gradient.abs().max().clamp(min=1.0)
        torch.testing.assert_close(packed_gradients[name] / scale, gradient / scale, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("attention", ["sdpa", "eager", PACKED_ATTENTION])
@pytest.mark.parametrize("layout", ["rows", "flat"])
@pytest.mark.parametrize("algorithm", ["multifit", "next_fit"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_of_every_sample(
    tiny_model: Callable[..., Any],
    tokenizer: Any,
    features: Any,
    family: str,
    algorithm: Any,
    layout: Any,
    attention: str,
) -> None:
    alone = run_alone(tiny_model(family), features)
    batch = DynamicPackCollator(tokenizer, 32, layout=layout, algorithm=algorithm)(features)
    assert len(batch["cu_seq_lens_q"]) > 6
    packed = run_packed(tiny_model(family, attention), batch)
    assert_equal(packed, alone)


def test_without_segments_the_samples_do_leak(tiny_model: Callable[..., Any], tokenizer: Any, features: Any) -> None:
    """The control: CodeACT's own batch, a mask of ones and positions that run on, fails the test above by far."""
    losses, _, _ = run_alone(tiny_model(), features)
    batch = DynamicPackCollator(tokenizer, 32)(features)
    leaky = tiny_model()(batch["input_ids"], attention_mask=torch.ones_like(batch["input_ids"])).logits
    per_token = token_losses(leaky, batch["labels"])
    assert abs(per_token.sum().item() - sum(losses.values())) > 0.1


def test_a_sliding_window_stays_inside_the_segment(
    tiny_model: Callable[..., Any], tokenizer: Any, features: Any
) -> None:
    from transformers import MistralConfig

    config = MistralConfig(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, sliding_window=5,
    )  # fmt: skip
    alone = run_alone(tiny_model(config), features)
    batch = DynamicPackCollator(tokenizer, 32)(features)
    assert_equal(run_packed(tiny_model(config, PACKED_ATTENTION), batch), alone)
    config.sliding_window = None
    without_window, _, _ = run_alone(tiny_model(config), features)
    assert without_window != pytest.approx(alone[0], abs=1e-3), "the window must matter in this test"


@pytest.mark.filterwarnings("ignore:.*activation_checkpointing_enable:FutureWarning")  # the older name, for 5.10
def test_gradient_checkpointing(tiny_model: Callable[..., Any], tokenizer: Any, features: Any) -> None:
    alone = run_alone(tiny_model(), features)
    model = tiny_model()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    with packed_attention(model):
        assert_equal(run_packed(model, DynamicPackCollator(tokenizer, 32)(features)), alone)


def test_rows_of_pack_dataset(tiny_model: Callable[..., Any], tokenizer: Any, features: Any) -> None:
    from datasets import Dataset

    alone = run_alone(tiny_model(), features)
    rows = pack_dataset(Dataset.from_list(features), 32)
    assert len(rows) == 3
    batch = DynamicPackCollator(tokenizer, 32)(list(rows))
    assert_equal(run_packed(tiny_model("llama", PACKED_ATTENTION), batch), alone)
