"""Every way of reading a model gives the losses of transformers itself, and the model comes back as it was."""

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals import predictions
from hf_select.signals.layout import Layout
from hf_select.signals.reader import Reader, Way, reader
from hf_select.signals.sketch import signs
from hf_select.signals.statistic import STATISTICS
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


def plain_statistics(model, segment) -> dict[str, np.ndarray]:
    """Statistics of one row that the model reads alone, in float64 and without anything shared."""
    ids = torch.tensor(np.concatenate(segment)[None].astype(np.int64))
    with torch.no_grad():
        output = model(input_ids=ids, use_cache=False, output_hidden_states=True)
    part = slice(len(segment.context) - 1, -1)
    logits, states = output.logits[0, part].double().numpy(), output.hidden_states[-1][0, part].double().numpy()
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    ranked = np.sort(probabilities, axis=1)
    entropies, margins = -(probabilities * np.log(probabilities)).sum(axis=1), ranked[:, -1] - ranked[:, -2]
    errors = probabilities - np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    cpu = torch.device("cpu")
    of_tokens, of_states = signs(errors.shape[1], 1, cpu).numpy(), signs(states.shape[1], 2, cpu).numpy()
    return {
        "mean_entropy": entropies.mean(),
        "max_entropy": entropies.max(),
        "top_nll": -np.log(ranked[:, -1]).mean(),
        "mean_margin": margins.mean(),
        "min_margin": margins.min(),
        "gradient_sketch": (of_tokens.T @ (errors.T @ states / len(errors)) @ of_states).ravel(),
    }


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("applies_head", [True, False])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_statistics_agree_in_all_ways(family, layout, applies_head, make_model, segments) -> None:
    model = make_model(family).eval()
    names = [name for name in STATISTICS if name != "nll"]
    scored = readable(segments)
    with reader(model, Way(layout, applies_head)) as ready:
        found = ready.read(scored, nll=False, statistics=names, pools=("weighted",))
    assert set(found) == {*names, "weighted"}
    assert len(names) == 6
    for index, segment in enumerate(scored):
        ids = torch.tensor(np.concatenate(segment)[None].astype(np.int64))
        with torch.no_grad():
            states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0].double().numpy()
        weighted = np.average(states, axis=0, weights=np.arange(1, len(states) + 1))
        np.testing.assert_allclose(found["weighted"][index], weighted, atol=1e-5)
        if not len(segment.target):
            assert all(np.isnan(found[name][index]).all() for name in names)
            continue
        for name, expected in plain_statistics(model, segment).items():
            np.testing.assert_allclose(found[name][index], expected, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("applies_head", [True, False])
def test_predictions_are_those_of_the_model(applies_head, make_model, segments) -> None:
    model = make_model("llama").eval()
    scored = readable(segments)
    with reader(model, Way(Layout.PACKED, applies_head)) as ready:
        predictions = ready.predict(scored, needs_states=True)
        assert (ready.predict(scored).states is None) == (not applies_head)  # the model's own head costs more
        found = [predictions.read(part) for part in predictions.segments]
    assert predictions.counts == [len(segment.target) for segment in scored]
    for positions, segment in zip(found, scored, strict=True):
        ids = torch.tensor(np.concatenate(segment)[None].astype(np.int64))
        with torch.no_grad():
            output = model(input_ids=ids, use_cache=False, output_hidden_states=True)
        part = slice(len(segment.context) - 1, segment.n_tokens - 1)
        torch.testing.assert_close(positions.log_probs, output.logits[0, part].log_softmax(-1), atol=1e-5, rtol=0)
        torch.testing.assert_close(positions.states, output.hidden_states[-1][0, part], atol=1e-5, rtol=0)
        assert positions.target_ids.tolist() == segment.target.tolist()


def test_logits_are_read_in_chunks(make_model, segments, monkeypatch) -> None:
    model = make_model("llama")
    widths = []
    model.lm_head.register_forward_hook(lambda module, args, output: widths.append(output.shape[0]))
    with reader(model, PACKED) as ready:
        whole = ready.read(readable(segments), nll=True)["nll"]
        widths.clear()
        monkeypatch.setattr(predictions, "_MAX_LOGIT_BYTES", 4 * 320 * 7)
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
