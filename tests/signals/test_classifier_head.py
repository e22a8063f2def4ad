"""The closed form of the gradient length, against golden values and autograd; and which layer is the last."""

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.classifier_head import (
    HeadCall,
    class_probabilities,
    expected_gradient_length,
    head_input,
    recorded_heads,
)


def test_golden_lengths() -> None:
    p, h = np.array([[0.7, 0.3]]), np.array([[1.0, 2.0]])
    assert expected_gradient_length(p, h, has_bias=False) == pytest.approx([1.328157], abs=1e-6)
    assert expected_gradient_length(p, h, has_bias=True) == pytest.approx([1.454923], abs=1e-6)
    assert expected_gradient_length(p, h, has_bias=False) == pytest.approx([2 * 0.7 * 0.3 * 2**0.5 * 5**0.5])
    p, h = np.array([[0.5, 0.3, 0.2]]), np.array([[3.0, 4.0]])
    assert expected_gradient_length(p, h, has_bias=False) == pytest.approx([3.855817], abs=1e-6)


def test_a_certain_row_has_no_gradient() -> None:
    p = np.array([[1.0, 0.0], [np.float32(0.1) ** 20, 1.0]])
    assert expected_gradient_length(p, np.ones((2, 5)), has_bias=True) == pytest.approx([0, 0], abs=1e-15)


@pytest.mark.parametrize("n_logits", [1, 2, 5])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_closed_form_is_the_gradient(n_logits, has_bias) -> None:
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(7, n_logits, bias=has_bias).double()
    states = torch.randn(6, 7, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    logits = head(states)
    binary = n_logits == 1
    p = torch.cat([1 - logits.sigmoid(), logits.sigmoid()], 1) if binary else logits.softmax(-1)
    np.testing.assert_allclose(class_probabilities(logits).detach().numpy(), p.detach().numpy(), rtol=1e-6)
    expected = np.zeros(6)
    for row in range(6):
        for label in range(p.shape[1]):
            loss = -p[row, label].log()
            gradient = torch.autograd.grad(loss, list(head.parameters()), retain_graph=True)
            norm = torch.cat([part.flatten() for part in gradient]).norm()
            expected[row] += float((p[row, label] * norm).detach())
    found = expected_gradient_length(p.detach().numpy(), states.numpy(), has_bias=has_bias, is_sigmoid=binary)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_probabilities_are_float32_and_finite_for_large_logits() -> None:
    half = torch.tensor([[30000.0, 0.0], [-3.0, -3.0]], dtype=torch.float16)
    found = class_probabilities(half)
    assert found.dtype == torch.float32
    assert found.tolist() == [[1.0, 0.0], [0.5, 0.5]]
    assert class_probabilities(torch.tensor([[200.0], [-200.0]])).tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_the_position_whose_logits_came_back_is_found() -> None:
    layer = torch.nn.Linear(4, 2)
    inputs = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    outputs = layer(inputs)
    lengths = torch.tensor([5, 2, 3])
    logits = outputs[torch.arange(3), lengths - 1]
    mask = torch.arange(5) < lengths[:, None]
    found = head_input([HeadCall(layer, inputs, outputs)], logits, mask)
    assert torch.equal(found.states, inputs[torch.arange(3), lengths - 1])
    assert found.has_bias
    same = torch.zeros(3, 5, 4)  # every position alike: the last one that is no padding
    found = head_input([HeadCall(layer, same, layer(same))], layer(same)[:, 0], mask)
    assert torch.equal(found.states, same[:, 0])


def test_logits_that_no_layer_gave_are_refused() -> None:
    layer = torch.nn.Linear(4, 2)
    inputs = torch.ones(3, 4)
    calls = [HeadCall(layer, inputs, layer(inputs))]
    mask = torch.ones(3, 5)
    with pytest.raises(ModelError, match="No linear layer of the model gives its logits"):
        head_input(calls, layer(inputs) * 2, mask)
    with pytest.raises(ModelError, match="No linear layer"):
        head_input([], layer(inputs), mask)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_an_adapter_on_the_last_layer_is_part_of_it() -> None:
    from peft import LoraConfig, inject_adapter_in_model

    body = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    model = inject_adapter_in_model(LoraConfig(r=3, target_modules=["1"], init_lora_weights=False), body)
    inputs = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    with recorded_heads(model, 2) as calls:
        logits = model(inputs)
    assert len(calls) == 3  # the layer, the adapter's second half, and both together
    found = head_input(calls, logits, torch.ones(3, 1))
    assert torch.equal(found.states, model[0](inputs))
    assert found.has_bias
    assert not any(layer._forward_hooks for layer in model.modules())
