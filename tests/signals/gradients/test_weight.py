"""Weights come back bit by bit, and precision is what it says."""

import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.gradients.weight import exact_forward, has_exact_weights, movable, require_exact_weights


@pytest.mark.parametrize("fails", [False, True])
def test_weights_come_back_bit_by_bit(fails):
    parameters = {"w": torch.nn.Parameter(torch.tensor([0.1, -0.0, float("nan"), 1e-42]))}
    bits = parameters["w"].detach().view(torch.int32).clone()
    try:
        with movable(parameters) as move:
            move({"w": torch.arange(4.0)})
            assert parameters["w"].tolist() == [0, 1, 2, 3]
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert torch.equal(parameters["w"].detach().view(torch.int32), bits)


def test_half_precision_is_refused_with_the_reason():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).bfloat16())
    assert has_exact_weights(model[0])
    assert has_exact_weights(model[0].double())
    assert not has_exact_weights(model)
    with pytest.raises(ModelError, match=r"engine='oracle'.*bfloat16.*less than their rounding.*dtype='float32'"):
        require_exact_weights(model, "oracle")


def test_autocast_is_off_inside_also_the_one_that_accelerate_puts_around_the_forward_pass():
    from types import MethodType

    model = torch.nn.Linear(2, 2)
    model._original_forward = model.forward
    model.forward = MethodType(torch.autocast("cpu", torch.bfloat16)(model.forward.__func__), model)
    inputs = torch.ones(1, 2)
    assert model(inputs).dtype == torch.bfloat16
    wrapped = model.forward
    with torch.autocast("cpu", torch.bfloat16), exact_forward(model):
        assert model(inputs).dtype == torch.float32
    assert model.forward == wrapped
    assert model(inputs).dtype == torch.bfloat16


def test_tensor_float_32_is_off_inside():
    torch.set_float32_matmul_precision("high")
    try:
        with exact_forward(torch.nn.Linear(2, 2)):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
