"""The last value projection of many architectures, against what its attention does with it."""

import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.gradients.value_projection import last_lora_b, last_value_projection

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

FAMILIES = {
    "llama": ({"num_key_value_heads": 2}, "model.layers.1.self_attn.v_proj.weight", None),
    "gpt2": ({}, "transformer.h.1.attn.c_attn.weight", 32),
    "gpt_bigcode": ({"multi_query": True}, "transformer.h.1.attn.c_attn.weight", 8),
    "gpt_bigcode by head": ({"multi_query": False}, "transformer.h.1.attn.c_attn.weight", 32),
    "phi3": ({"num_key_value_heads": 2}, "model.layers.1.self_attn.qkv_proj.weight", 16),
    "gpt_neox": ({}, "gpt_neox.layers.1.attention.query_key_value.weight", 32),
    "bloom": ({}, "transformer.h.1.self_attention.query_key_value.weight", 32),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_values_are_what_the_last_attention_output_is_linear_in(family, make_model):
    """Scaling only the rows that yield values scales what goes into the output projection, and nothing else does."""
    fields, name, n_values = FAMILIES[family]
    model = make_model(family.split()[0], **fields).eval()
    found = last_value_projection(model)
    assert found.weight == name
    inputs = []
    attention = model.get_submodule(name.rpartition(".")[0].rpartition(".")[0])
    output_layer = next(child for kind, child in attention.named_children() if kind in ("o_proj", "c_proj", "dense"))
    output_layer.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    ids = torch.arange(2, 9)[None]
    projection = model.get_submodule(name.rpartition(".")[0])
    with torch.no_grad():
        model(ids)
        for tensor in (projection.weight, projection.bias):
            if tensor is None:
                continue
            if found.restrict is None:
                tensor.mul_(2)
                continue
            dimension, index = found.restrict
            assert len(index) == n_values
            chosen = tensor.index_select(min(dimension, tensor.ndim - 1), index)
            tensor.index_copy_(min(dimension, tensor.ndim - 1), index, 2 * chosen)
        model(ids)
    torch.testing.assert_close(inputs[1], 2 * inputs[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("roberta", "roberta.encoder.layer.1.attention.self.value.weight"),
        ("distilbert", "distilbert.transformer.layer.1.attention.v_lin.weight"),
    ],
)
def test_classifiers(family, name, make_classifier):
    assert last_value_projection(make_classifier(family)) == (name, None)


def test_adapters_hide_the_layer_and_bring_their_own(make_lora, make_model):
    model = make_lora()
    assert last_value_projection(model).weight.endswith("layers.1.self_attn.v_proj.base_layer.weight")
    assert last_lora_b(model).endswith("layers.1.self_attn.v_proj.lora_B.default.weight")
    with pytest.raises(ModelError, match=r"no active LoRA adapter at model\.layers\.1\.self_attn\.v_proj"):
        last_lora_b(make_model("llama"))


def test_layers_that_are_not_known_are_refused(make_model):
    model = make_model("llama")
    for layer in model.model.layers:
        layer.self_attn.values = layer.self_attn.v_proj
        del layer.self_attn.v_proj
    with pytest.raises(ModelError, match=r"no layer named v_proj, value.*'all' or 'loss'"):
        last_value_projection(model)
    codegen = make_model("codegen", rotary_dim=4, n_inner=48)
    with pytest.raises(ModelError, match="order that is not known"):
        last_value_projection(codegen)
