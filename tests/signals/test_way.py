"""Which way each kind of model is read in, and that it gives the losses of transformers itself."""

import logging

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.layout import Layout
from hf_select.signals.reader import Way, reader
from hf_select.signals.way import find_way
from hf_select.training import PACKED_ATTENTION, packed_attention

# family -> how it must come to be read: way
WAYS = {
    "llama": Way(Layout.PACKED, True, True),
    "qwen2": Way(Layout.PACKED, True, True),
    "gpt2": Way(Layout.PACKED, True, True),
    "gpt_neox": Way(Layout.PACKED, True, True),
    "granite": Way(Layout.PACKED, False),  # scales its logits
    "gemma2": Way(Layout.RESTARTED, False),  # caps attention scores, which the packed attention refuses, and its logits
    "bloom": Way(Layout.PADDED, True),  # has no positions to restart, and its last block reads the residual too
}


def readable(segments):
    return [segment for segment in segments if segment.n_tokens]


@pytest.mark.parametrize("family", WAYS)
def test_each_model_is_read_in_its_way_and_rightly(family, make_model, segments, plain_nll) -> None:
    fields = {"n_head": 4, "n_layer": 2} if family == "bloom" else {}
    model = make_model(family, **fields)
    way = find_way(model)
    assert way == WAYS[family]
    with reader(model, way) as ready:
        found = ready.read(readable(segments), nll=True)["nll"]
    np.testing.assert_allclose(found, plain_nll(model, readable(segments)), atol=1e-5)


def test_a_leak_is_found(make_model, monkeypatch) -> None:
    """The same model under a packed attention that forgets its bounds is not read packed."""
    from hf_select.training import attention

    def leaking(query, key, value, bounds, *rest):
        return whole(query, key, value, (0, bounds[-1]), *rest)

    whole = attention._attention_by_segment
    monkeypatch.setattr(attention, "_attention_by_segment", leaking)
    assert find_way(make_model("llama")) == Way(Layout.RESTARTED, True, True)


def test_the_search_leaves_no_trace(make_model) -> None:
    model = make_model("llama")
    model.train()
    with packed_attention(model):
        random_state = torch.get_rng_state()
        find_way(model)
        assert model.config._attn_implementation == PACKED_ATTENTION
        assert all(module.training for module in model.modules())
        assert torch.equal(torch.get_rng_state(), random_state)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_prompt_tuning_is_refused(make_model) -> None:
    from peft import PromptTuningConfig, TaskType, get_peft_model

    model = get_peft_model(make_model("llama"), PromptTuningConfig(TaskType.CAUSAL_LM, num_virtual_tokens=3))
    with pytest.raises(ModelError, match="adds tokens of its"):
        find_way(model)


def test_padding_is_said(make_model, caplog) -> None:
    with caplog.at_level(logging.WARNING, "hf_select"):
        find_way(make_model("bloom", n_head=4, n_layer=2))
    assert "padded batches" in caplog.text


def test_half_precision(make_model, segments, plain_nll) -> None:
    model = make_model("llama")
    exact = plain_nll(model, readable(segments))
    way = find_way(model.bfloat16())
    assert way == Way(Layout.PACKED, True, True)
    with reader(model, way) as ready:
        values = ready.read(readable(segments), nll=True, pools=("row",))
    assert values["row"].dtype == np.float32
    np.testing.assert_allclose(values["nll"], exact, rtol=0.1)
