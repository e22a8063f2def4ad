"""Weights come back bit by bit, and precision is what it says."""

import gc

import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.gradients.weight import (
    exact_forward,
    float64_forward,
    has_exact_weights,
    movable,
    require_exact_weights,
)


def test_a_forward_pass_in_float64_leaves_the_hooks_of_ddp(make_model):
    """DDP hangs its hooks on what adds up the gradient of a parameter, which another dtype would replace."""
    model = make_model("llama")
    sums = [parameter.expand_as(parameter).grad_fn.next_functions[0][0] for parameter in model.parameters()]
    with float64_forward(model):
        model(input_ids=IDS)
    for parameter, kept in zip(model.parameters(), sums, strict=True):
        assert parameter.expand_as(parameter).grad_fn.next_functions[0][0] is kept


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


IDS = torch.randint(2, 300, (2, 12), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def rounded(model):
    """A model whose weights leave room below in float32."""
    for parameter in model.parameters():
        parameter.copy_((parameter * 2**10).round() / 2**10)
    return model.eval()


@torch.no_grad()
def bend(model, reach):
    """Second difference of the mean logit along random signs of all weights, which float32 holds exactly."""
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    sums = []
    for sign in (1, 0, -1):
        generator = torch.Generator().manual_seed(1)
        for parameter, weights in zip(model.parameters(), kept, strict=True):
            signs = torch.randint(2, weights.shape, generator=generator) * 2.0 - 1
            moved = weights + sign * reach * signs
            assert torch.equal(moved.double(), weights.double() + sign * reach * signs.double())
            parameter.copy_(moved)
        with float64_forward(model):
            sums.append(model(input_ids=IDS, use_cache=False).logits.logsumexp(-1).mean())
    for parameter, weights in zip(model.parameters(), kept, strict=True):
        parameter.copy_(weights)
    return float(sums[0] - 2 * sums[1] + sums[2]) / reach**2


BOTH = [(family, attention) for family in ("llama", "qwen2", "gpt2", "gpt_neox") for attention in ("sdpa", "eager")]


@pytest.mark.parametrize(("family", "attention"), [*BOTH, ("gemma2", "eager"), ("bloom", None), ("mixtral", "sdpa")])
def test_a_forward_pass_feels_moves_far_below_float32(family, attention, make_model):
    """A second difference divides by the square of the reach: at 2^-19 noise of 1e-7 would be 3e4 of it."""
    model = rounded(make_model(family))
    if attention:
        model.set_attn_implementation(attention)
    wide, narrow = (bend(model, 2.0**-power) for power in (15, 19))
    assert abs(wide) > 0.1
    assert narrow == pytest.approx(wide, rel=1e-3)


def test_without_it_there_is_noise_alone(make_model, monkeypatch):
    """The test above would fail on a forward pass whose norms stay in float32."""
    monkeypatch.setattr("hf_select.signals.gradients.weight._widened", lambda value: value)
    model = rounded(make_model("llama"))
    wide, narrow = (bend(model, 2.0**-power) for power in (15, 19))
    assert narrow != pytest.approx(wide, rel=1e-1)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("inference", [False, True])
def test_a_forward_pass_in_float64_leaves_nothing_behind(fails, inference, make_model):
    model = make_model("llama", tie_word_embeddings=True)
    tensors = [*model.parameters(), *model.buffers()]
    next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    bits = [tensor.detach().clone() for tensor in tensors]
    places, flags = ([getattr(t, what)() for t in tensors] for what in ("data_ptr", "is_inference"))
    logits, random = model(input_ids=IDS).logits.detach(), torch.get_rng_state()
    try:
        with torch.inference_mode(inference), torch.no_grad(), float64_forward(model):
            assert all(tensor.dtype == torch.float64 for tensor in (*model.parameters(), *model.buffers()))
            assert model.lm_head.weight is model.model.embed_tokens.weight
            difference = (model(input_ids=IDS).logits - logits).abs().max()
            assert difference.dtype == torch.float64
            assert 0 < difference < 1e-4
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert all(
        torch.equal(tensor, kept) and tensor.dtype == kept.dtype for tensor, kept in zip(tensors, bits, strict=True)
    )
    assert [tensor.data_ptr() for tensor in tensors] == places
    assert [tensor.is_inference() for tensor in tensors] == flags
    assert torch.equal(torch.get_rng_state(), random)
    assert next(model.parameters()).grad.dtype == torch.float32
    assert torch.equal(model(input_ids=IDS).logits, logits)
    shapes = {tensor.shape for tensor in model.parameters()}
    gc.collect()
    assert not [
        t for t in gc.get_objects() if type(t) is torch.Tensor and t.dtype == torch.float64 and t.shape in shapes
    ]
    model(input_ids=IDS).logits.sum().backward()  # training goes on


def test_experts_are_taken_together_again_afterwards(make_model):
    model = make_model("mixtral")
    assert model.get_experts_implementation() == {"": "grouped_mm"}
    with float64_forward(model):
        assert model.get_experts_implementation() == {"": "eager"}
    assert model.get_experts_implementation() == {"": "grouped_mm"}


def test_a_device_without_float64_reads_in_the_dtype_of_the_weights(make_model, monkeypatch):
    monkeypatch.setattr("hf_select.signals.gradients.weight.exact_dtype", lambda device: torch.float32)
    model = make_model("llama")
    with float64_forward(model):
        assert model(input_ids=IDS).logits.dtype == torch.float32
