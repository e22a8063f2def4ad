"""Weights that are moved for a while: exact enough to feel one step, and put back bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from hf_select.errors import ModelError
from hf_select.signals.gradients.factor import exact_dtype

_EXACT = (torch.float32, torch.float64)


def has_exact_weights(model: nn.Module) -> bool:
    """Whether a step of the optimiser can be told from none: all weights are in float32 or float64.

    Args:
        model: the model.

    Returns:
        False for half precision and quantised weights.
    """
    return all(parameter.dtype in _EXACT for parameter in model.parameters())


def require_exact_weights(model: nn.Module, engine: str) -> None:
    """Refuse weights that cannot hold a step.

    Args:
        model: the model.
        engine: what needs them, for the message.

    Raises:
        ModelError: if there are any.
    """
    if not has_exact_weights(model):
        dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters() if p.dtype not in _EXACT})
        raise ModelError(
            f"engine={engine!r} moves the weights by a step, and weights in {', '.join(dtypes)} cannot hold it: it is "
            f"less than their rounding, and the change of the loss is lost in noise. Load the model with "
            f"dtype='float32', or use engine='exact', which moves nothing."
        )


@contextmanager
def movable(parameters: Mapping[str, nn.Parameter]) -> Iterator[Callable[[Mapping[str, torch.Tensor]], None]]:
    """Let weights be moved, and put them back bit by bit, also after an error.

    Args:
        parameters: the parameters, by name.

    Yields:
        Callable[[Mapping[str, torch.Tensor]], None]: sets parameters to values.
    """
    kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def move(values: Mapping[str, torch.Tensor]) -> None:
        for name, value in values.items():
            parameters[name].copy_(value)

    try:
        yield move
    finally:
        move(kept)


@contextmanager
def exact_forward(model: nn.Module) -> Iterator[None]:
    """Forward passes in the dtype of the weights: without autocast, and without TensorFloat-32.

    Args:
        model: the model; ``accelerate`` may have put autocast around its forward pass.

    Yields:
        None: passes are run inside.
    """
    bare: Any = model
    wrapped = bare.__dict__.get("forward") if "_original_forward" in bare.__dict__ else None
    precision = torch.get_float32_matmul_precision()
    device = next(model.parameters()).device.type
    try:
        torch.set_float32_matmul_precision("highest")
        if wrapped is not None:
            bare.forward = bare._original_forward
        with torch.autocast(device, enabled=False):
            yield
    finally:
        if wrapped is not None:
            bare.forward = wrapped
        torch.set_float32_matmul_precision(precision)


@contextmanager
def float64_forward(model: nn.Module) -> Iterator[None]:
    """Forward passes in float64 throughout, at the very weights that the model has.

    Float64 copies stand where parameters and buffers do, and what a model narrows to float32 on purpose (norms,
    softmax, rotary tables) stays in float64. The copies take twice the memory of weights in float32, and are freed at
    the end; the weights are never touched: another dtype in one of them would cut the hooks of DDP off. On a device
    without float64 nothing changes.

    Args:
        model: the model, with weights in float32 or float64.

    Yields:
        None: passes without gradients are run inside, and no weight is moved.
    """
    if exact_dtype(next(model.parameters()).device) is not torch.float64:
        yield
        return
    tables: list[dict[str, Any]] = [
        held for module in model.modules() for held in (module._parameters, module._buffers)
    ]
    places = [(held, name, tensor) for held in tables for name, tensor in held.items() if _is_float(tensor)]
    apart = {id(tensor): tensor for _, _, tensor in places}  # a tied weight once
    with ExitStack() as left, _plain_experts(model), _Float64ForFloat32():
        with torch.inference_mode(False):  # an inference tensor cannot stand in for a parameter
            wide = {number: _double(tensor) for number, tensor in apart.items()}
        for held, name, tensor in places:
            left.callback(held.__setitem__, name, tensor)
            held[name] = wide[id(tensor)]
        yield


def _is_float(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and tensor.is_floating_point()


def _double(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in float64 of what a parameter or a buffer holds."""
    copied = tensor.detach().double()
    return nn.Parameter(copied, requires_grad=False) if isinstance(tensor, nn.Parameter) else copied


@contextmanager
def _plain_experts(model: nn.Module) -> Iterator[None]:
    """Experts one after the other: the kernel that takes them together has no float64."""
    models = (module for module in model.modules() if hasattr(module, "get_experts_implementation"))
    inner: Any = next(models, None)  # the outermost, which sets those within
    if inner is None:
        yield
        return
    kept = inner.get_experts_implementation()
    try:
        inner.set_experts_implementation("eager")
        yield
    finally:
        inner.set_experts_implementation(kept)


class _Float64ForFloat32(TorchFunctionMode):
    """Wherever a call names float32, it gets float64."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        called = torch.Tensor.double if function is torch.Tensor.float else function
        named = {name: _widened(value) for name, value in (kwargs or {}).items()}
        return called(*map(_widened, args), **named)


def _widened(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
