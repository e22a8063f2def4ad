"""Which parameters count."""

import pytest

from hf_select.errors import ModelError
from hf_select.signals.gradients.parameter import active_adapters, parameters_hash, scored_parameters

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


def test_all_that_is_trained_by_default(make_model):
    model = make_model("llama", tie_word_embeddings=True)
    assert list(scored_parameters(model)) == [name for name, _ in model.named_parameters()]
    assert "lm_head.weight" not in scored_parameters(model)  # it has its first name
    model.model.embed_tokens.weight.requires_grad_(False)
    assert "model.embed_tokens.weight" not in scored_parameters(model)
    model.requires_grad_(False)
    with pytest.raises(ModelError, match=r"requires_grad_\(True\)"):
        scored_parameters(model)


def test_adapters_alone_where_there_are_some(make_lora):
    model = make_lora()
    assert active_adapters(model) == {"default"}
    names = list(scored_parameters(model))
    assert len(names) == 8
    model.requires_grad_(False)  # as an adapter is loaded that is not to be trained
    assert list(scored_parameters(model)) == names
    model.get_parameter(names[0]).requires_grad_(False)
    with model.disable_adapter():
        assert active_adapters(model) == frozenset()


def test_what_is_trained_beside_the_adapter_counts(make_lora):
    names = scored_parameters(make_lora(modules_to_save=["lm_head"]))
    assert len(names) == 9
    assert any("modules_to_save.default" in name for name in names)


def test_a_pattern(make_model):
    model = make_model("llama")
    assert list(scored_parameters(model, r"layers\.1\..*v_proj")) == ["model.layers.1.self_attn.v_proj.weight"]
    with pytest.raises(ModelError, match=r"matches 'lora'.*model.embed_tokens.weight"):
        scored_parameters(model, "lora")


def test_the_hash_knows_what_is_trained(make_model):
    model = make_model("llama")
    first = parameters_hash(model)
    model.lm_head.weight.requires_grad_(False)
    assert parameters_hash(model) != first
