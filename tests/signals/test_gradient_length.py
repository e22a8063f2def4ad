"""Norms of the head's gradient without the gradient: the worked value, and autograd itself."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_select.signals import predictions
from hf_select.signals.gradient_length import gram_sum, head_gradient_lengths
from hf_select.signals.layout import Layout
from hf_select.signals.reader import Way, reader


def readable(segments):
    return [segment for segment in segments if segment.n_tokens]


def test_three_tokens_by_hand() -> None:
    """The golden of the Gram form: 2.261912, as the Frobenius norm of the explicit gradient."""
    rng = np.random.default_rng(0)
    probabilities, states = rng.dirichlet(np.ones(4), 3), rng.normal(size=(3, 2))
    errors = torch.tensor(probabilities - np.eye(4)[[0, 2, 1]])
    squared = gram_sum(errors, torch.tensor(states), errors, torch.tensor(states), has_bias=False)
    assert np.sqrt(squared) == pytest.approx(2.261912, abs=1e-6)
    assert np.sqrt(squared) == pytest.approx(np.linalg.norm(errors.numpy().T @ states))
    with_bias = gram_sum(errors, torch.tensor(states), errors, torch.tensor(states), has_bias=True)
    bias_gradient = errors.numpy().sum(axis=0)
    assert with_bias == pytest.approx(squared + bias_gradient @ bias_gradient)


def autograd_length(model, segment) -> float:
    """Norm of the gradient that autograd finds for the head alone, of the loss summed over the target."""
    model.eval()
    head = model.get_output_embeddings()
    ids = torch.tensor(np.concatenate(segment)[None].astype(np.int64))
    with torch.no_grad():
        states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0]
    part = slice(len(segment.context) - 1, segment.n_tokens - 1)
    logits = head(states[part])
    target = torch.tensor(segment.target.astype(np.int64))
    gradients = torch.autograd.grad(F.cross_entropy(logits, target, reduction="sum"), list(head.parameters()))
    return float(torch.cat([gradient.flatten() for gradient in gradients]).double().norm())


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("applies_head", [True, False])
def test_lengths_are_those_of_autograd(layout, applies_head, make_model, segments) -> None:
    model = make_model("llama")
    scored = readable(segments)
    with reader(model, Way(layout, applies_head)) as ready:
        found = head_gradient_lengths(ready, scored)
    expected = [autograd_length(model, segment) if len(segment.target) else 0.0 for segment in scored]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (np.asarray(expected) > 0).sum() == 18


def test_long_responses_are_read_in_blocks(make_model, segments, monkeypatch) -> None:
    model = make_model("llama")
    widths = []
    with reader(model, Way(Layout.PACKED, True)) as ready:
        whole = head_gradient_lengths(ready, readable(segments))
        model.lm_head.register_forward_hook(lambda module, args, output: widths.append(output.shape[0]))
        monkeypatch.setattr(predictions, "_MAX_CPU_POSITIONS", 3)
        blocked = head_gradient_lengths(ready, readable(segments))
    np.testing.assert_allclose(blocked, whole, rtol=1e-5)
    assert max(widths) == 3
    assert len(widths) > len(segments)


def test_a_bias_counts_where_the_head_has_one(make_model, segments) -> None:
    model = make_model("llama")
    model.lm_head = torch.nn.Linear(32, 320, bias=True)
    scored = readable(segments)[:4]
    with reader(model, Way(Layout.PACKED, True)) as ready:
        found = head_gradient_lengths(ready, scored)
    np.testing.assert_allclose(found, [autograd_length(model, segment) for segment in scored], rtol=1e-4)
