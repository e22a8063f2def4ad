"""The last layer of a classifier: what goes into it, the classes that come out, and the gradient it would get.

h  --- last linear layer --->  z  --- softmax --->  p        (n, D) -> (n, C)
                                                             one logit: p = (1 - sigmoid(z), sigmoid(z))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hf_select.errors import ModelError
from hf_select.signals.keys import Floats


class HeadCall(NamedTuple):
    """One call of a layer that has as many outputs as the model has logits."""

    layer: torch.nn.Module
    inputs: torch.Tensor
    outputs: torch.Tensor


class HeadInput(NamedTuple):
    """What the last layer read.

    Attributes:
        states: ``(n, D)``, at the position whose logits the model returned.
        has_bias: whether the layer has a bias.
    """

    states: torch.Tensor
    has_bias: bool


def class_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Probabilities of the classes.

    Args:
        logits: ``(n, C)``, or ``(n, 1)`` of a sigmoid head.

    Returns:
        ``(n, C)`` float32, or ``(n, 2)``.
    """
    exact = logits.float()
    if exact.shape[1] == 1:
        return torch.cat([torch.sigmoid(-exact), torch.sigmoid(exact)], dim=1)
    return exact.softmax(-1)


def expected_gradient_length(
    probabilities: Floats, states: Floats, *, has_bias: bool, is_sigmoid: bool = False
) -> NDArray[np.float64]:
    """Norm of the last layer's gradient, mean over the classes as the model believes in them.

    ``sum_y p_y * norm(p - e_y) * sqrt(norm(h)^2 + b)`` with ``b`` = 1 if the layer has a bias, else 0. The gradient of
    a sigmoid head has one row instead of two, so its norm is smaller by the root of 2.

    Args:
        probabilities: ``(n, C)``.
        states: ``(n, D)`` inputs of the last layer.
        has_bias: whether the layer has a bias.
        is_sigmoid: whether the two classes come from one logit.

    Returns:
        ``(n,)`` expected gradient lengths.

    Source:
        Settles & Craven 2008, "An Analysis of Active Learning Strategies for Sequence Labeling Tasks".
    """
    p, h = np.asarray(probabilities, dtype=np.float64), np.asarray(states, dtype=np.float64)
    errors = np.sqrt(np.maximum(0.0, np.square(p).sum(1, keepdims=True) - 2 * p + 1))
    lengths = (p * errors).sum(1) * np.sqrt(np.square(h).sum(1) + has_bias)
    return np.asarray(lengths / np.sqrt(2) if is_sigmoid else lengths)


@contextmanager
def recorded_heads(model: torch.nn.Module, n_logits: int) -> Iterator[list[HeadCall]]:
    """Record the calls of every layer that may be the last one: those with a weight of ``n_logits`` rows.

    Args:
        model: a classifier.
        n_logits: its logits.

    Yields:
        list[HeadCall]: the calls, in the order they end.
    """
    calls: list[HeadCall] = []

    def record(layer: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if args and isinstance(output, torch.Tensor):
            calls.append(HeadCall(layer, args[0], output))

    handles = [layer.register_forward_hook(record) for layer in model.modules() if _may_be_last(layer, n_logits)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def head_input(calls: Sequence[HeadCall], logits: torch.Tensor, mask: torch.Tensor) -> HeadInput:
    """What went into the layer that gave the logits.

    A decoder applies its last layer at every position and returns the logits of one; that one is found by its logits.

    Args:
        calls: calls of the layers that may be it.
        logits: ``(n, C)`` what the model returned.
        mask: ``(n, T)`` which tokens are no padding.

    Returns:
        The states it read.

    Raises:
        ModelError: if no layer gave these logits.
    """
    for layer, inputs, outputs in reversed(calls):  # outermost last, so that an adapter on the layer counts
        has_bias = getattr(layer, "bias", None) is not None
        if outputs.shape == logits.shape and bool(_is_same(outputs, logits).all()):
            return HeadInput(inputs, has_bias)
        if outputs.ndim == 3 and outputs.shape[:2] == mask.shape and outputs.shape[2] == logits.shape[1]:
            is_here = _is_same(outputs, logits[:, None]).all(-1) & mask.to(outputs.device).bool()
            if bool(is_here.any(1).all()):
                last = outputs.shape[1] - 1 - is_here.flip(1).int().argmax(1)
                return HeadInput(inputs[torch.arange(len(last), device=last.device), last], has_bias)
    raise ModelError(
        "No linear layer of the model gives its logits directly, so the input of its last layer cannot be read. Give "
        "embedder= for an embedding, or choose a method that needs class probabilities only."
    )


def _may_be_last(layer: torch.nn.Module, n_logits: int) -> bool:
    weight = getattr(layer, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == 2 and weight.shape[0] == n_logits


def _is_same(found: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return (found == logits) | (found.isnan() & logits.isnan())
