"""Masks shared by all rows: a function of seed, sample, layer and width, and nothing else."""

import numpy as np
import pytest
import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

from hf_select.signals.dropout import SharedMasks, dropout_layers, dropout_mask


def test_a_mask_is_a_function_of_its_arguments() -> None:
    mask = dropout_mask(3, 1, "layer.dropout", 1000, 0.25)
    assert torch.equal(mask, dropout_mask(3, 1, "layer.dropout", 1000, 0.25))
    assert set(mask.tolist()) == {0.0, float(np.float32(1 / 0.75))}
    assert float((mask == 0).float().mean()) == pytest.approx(0.25, abs=0.05)
    others = [(4, 1, "layer.dropout"), (3, 2, "layer.dropout"), (3, 1, "layer.other")]
    for seed, sample, name in others:
        other = dropout_mask(seed, sample, name, 1000, 0.25)
        assert float((mask != other).float().mean()) == pytest.approx(2 * 0.25 * 0.75, abs=0.06)
    assert dropout_mask(0, 0, "all", 4, 1.0).tolist() == [0, 0, 0, 0]


def test_the_mean_over_many_samples_is_no_dropout() -> None:
    mean = torch.stack([dropout_mask(0, sample, "layer", 16, 0.5) for sample in range(2000)]).mean(0)
    assert mean.tolist() == pytest.approx([1.0] * 16, abs=0.1)


def test_all_rows_and_positions_share_a_mask() -> None:
    layer = torch.nn.Sequential(torch.nn.Dropout(0.5)).eval()
    ones = torch.ones(3, 7, 32)
    with SharedMasks(layer, 0, 5):
        first, again = layer(ones), layer(ones[:1, :2])
        pooled = layer(ones[:, 0])
    assert torch.equal(first, first[:1, :1].expand_as(first))
    assert torch.equal(again, first[:1, :2])
    assert torch.equal(pooled, first[:, 0])
    assert 0 < (first == 0).sum() < first.numel()
    assert torch.equal(layer(ones), ones)
    with SharedMasks(layer, 0, 6):
        assert not torch.equal(layer(ones), first)


def test_attention_probabilities_are_left_alone() -> None:
    layer = torch.nn.Sequential(torch.nn.Dropout(0.5)).eval()
    with SharedMasks(layer, 0, 0):
        assert torch.equal(layer(torch.ones(2, 4, 8, 8)), torch.ones(2, 4, 8, 8))


@pytest.mark.parametrize(
    ("family", "on", "off"),
    [
        ("roberta", ["attention.output.dropout", "classifier.dropout", "embeddings.dropout"], ["attention.self"]),
        ("bert", ["layer.0.output.dropout"], ["attention.self"]),
        ("gpt2", ["attn.resid_dropout", "transformer.drop", "mlp.dropout"], ["attn_dropout"]),
        ("distilbert", ["ffn.dropout", "embeddings.dropout"], ["attention.dropout"]),
        ("llama", [], ["dropout"]),
    ],
)
def test_which_layers_are_on(family, on, off, make_classifier) -> None:
    layers = dropout_layers(make_classifier(family))
    assert all(any(part in name for name in layers) for part in on)
    assert not any(part in name for name in layers for part in off)


def test_a_flattened_attention_is_known_by_the_layers_beside_it() -> None:
    config = DebertaV2Config(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    layers = dropout_layers(DebertaV2ForSequenceClassification(config))
    assert not any(name.endswith("attention.self.dropout") for name in layers)
    assert any(name.endswith("attention.output.dropout") for name in layers)


def test_dropout_of_zero_is_off(make_classifier) -> None:
    assert dropout_layers(make_classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.1)) == {}


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_dropout_of_adapters_counts(make_model) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(make_model("llama"), LoraConfig(r=2, lora_dropout=0.3, target_modules=["q_proj"]))
    assert len(dropout_layers(model)) == 2
    assert dropout_layers(make_model("llama")) == {}


def test_neither_mode_nor_random_state_nor_hooks_are_left(make_classifier) -> None:
    model = make_classifier()
    random_state = torch.get_rng_state()
    masks = SharedMasks(model, 0, 0)
    for _ in range(2):
        with masks:
            model(input_ids=torch.tensor([[5, 6, 7]]))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not any(layer._forward_hooks for layer in model.modules())
    assert not any(layer.training for layer in model.modules())
