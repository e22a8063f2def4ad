"""Every way of reading a model gives the losses of transformers itself, and the model comes back as it was."""

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals import reader as reader_module
from hf_select.signals.layout import Layout
from hf_select.signals.reader import Reader, Way, reader
from hf_select.training import PACKED_ATTENTION, packed_attention

PACKED = Way(Layout.PACKED, True)


def readable(segments):
    return [segment for segment in segments if segment.n_tokens]


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("applies_head", [True, False])
def test_all_ways_agree(layout, applies_head, make_model, segments, plain_nll) -> None:
    model = make_model("llama").eval()
    device = torch.device("cpu")
    way = Reader(model, layout, model.model if applies_head else None, device)
    with torch.inference_mode():
        if layout is Layout.PACKED:
            with packed_attention(model):
                found = way.read(readable(segments), nll=True, pools=("row", "prompt", "response"))
        else:
            found = way.read(readable(segments), nll=True, pools=("row", "prompt", "response"))
    np.testing.assert_allclose(found["nll"], plain_nll(model, readable(segments)), atol=1e-5)
    for index, segment in enumerate(readable(segments)):
        ids = torch.tensor(np.concatenate(segment)[None].astype(np.int64))
        with torch.no_grad():
            states = model.model(input_ids=ids, use_cache=False).last_hidden_state[0]
        border = len(segment.context)
        for pool, part in (("row", states), ("prompt", states[:border]), ("response", states[border:])):
            np.testing.assert_allclose(found[pool][index], part.mean(0).numpy(), atol=1e-5)


def test_logits_are_read_in_chunks(make_model, segments, monkeypatch) -> None:
    model = make_model("llama")
    widths = []
    model.lm_head.register_forward_hook(lambda module, args, output: widths.append(output.shape[0]))
    with reader(model, PACKED) as ready:
        whole = ready.read(readable(segments), nll=True)["nll"]
        widths.clear()
        monkeypatch.setattr(reader_module, "_MAX_LOGIT_BYTES", 4 * 320 * 7)
        chunked = ready.read(readable(segments), nll=True)["nll"]
    n_targets = sum(len(segment.target) for segment in segments)
    assert max(widths) == 7
    assert sum(widths) == n_targets
    np.testing.assert_allclose(chunked, whole, atol=1e-6)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(make_model, segments, fails) -> None:
    model = make_model("llama", attn_implementation="eager")
    model.train()
    model.model.layers[0].eval()  # a part the user froze
    model.config.use_cache = True
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    try:
        with reader(model, PACKED) as ready:
            assert not any(module.training for module in model.modules())
            ready.read(readable(segments), nll=True)
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert [module.training for module in model.modules()] == modes
    assert (model.config.use_cache, model.config._attn_implementation) == (True, "eager")
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_in_packed_training_is_read_and_stays_packed(make_model, segments, plain_nll) -> None:
    model = make_model("llama")
    expected = plain_nll(model, readable(segments))
    with packed_attention(model):
        with reader(model, PACKED) as ready:
            found = ready.read(readable(segments), nll=True)["nll"]
        assert model.config._attn_implementation == PACKED_ATTENTION
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_an_adapter_counts(make_model, segments, plain_nll) -> None:
    from peft import LoraConfig, get_peft_model

    base = make_model("llama")
    without = plain_nll(base, readable(segments))
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    with reader(model, PACKED) as ready:
        found = ready.read(readable(segments), nll=True)["nll"]
    np.testing.assert_allclose(found, plain_nll(model, readable(segments)), atol=1e-5)
    assert np.nanmax(np.abs(found - without)) > 1e-3


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="need a causal language model"), reader(torch.nn.Linear(2, 2), PACKED):
        pass
