"""From what a layer read and what came back to it, the gradient of its parameters for every sample.

With ``a`` = input of the layer and ``g`` = gradient at its output, at the positions ``t`` of sample ``n``:

================  =========================  ==============================================
layer             weight                     bias
================  =========================  ==============================================
``nn.Linear``     ``sum_t g_t a_t'``         ``sum_t g_t``
``Conv1D``        ``sum_t a_t g_t'``         ``sum_t g_t``
``nn.Embedding``  row ``x_t`` gets ``g_t``   -
normalisation     ``sum_t g_t * xhat_t``     ``sum_t g_t``
================  =========================  ==============================================

LoRA's A and B are ``nn.Linear``. A rule is proposed by the kind of layer; that it is right is measured (``coverage``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from hf_select.signals.gradients.factor import Factors, TouchedRows, add_rows, wide_dtype
from hf_select.signals.gradients.span import Spans

Part = Factors | TouchedRows | torch.Tensor


class Call(NamedTuple):
    """One call of a layer in a forward pass.

    Attributes:
        module: the layer.
        inputs: what it read.
        spans: the flat axis of inputs and output.
        n_leading: how many leading dimensions make up that axis.
    """

    module: nn.Module
    inputs: torch.Tensor
    spans: Spans
    n_leading: int

    def flat(self, states: torch.Tensor) -> torch.Tensor:
        """States with their positions on the flat axis: ``(positions, ..., width)``."""
        return states.flatten(0, self.n_leading - 1)

    def positions(self, states: torch.Tensor) -> torch.Tensor:
        """States of each sample: ``(n, T, width)``; what lies between (heads) counts as positions."""
        return self.spans.by_sample(self.flat(states)).flatten(1, -2)


Rule = Callable[[Call, torch.Tensor], dict[str, Part]]
"""Gradients of a layer's parameters, by their name in the layer, from a call and the gradient at its output."""


def rule_of(module: nn.Module) -> Rule | None:
    """How the gradients of a layer's parameters are made.

    Args:
        module: any layer.

    Returns:
        The rule; ``None`` for a layer of an unknown kind.
    """
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, nn.Linear):
        return _linear
    if isinstance(module, Conv1D):
        return _conv1d
    if isinstance(module, nn.Embedding):
        looks_up = type(module).forward is nn.Embedding.forward or hasattr(module, "embed_scale")
        return _embedding if looks_up else None
    return _norm if isinstance(module, nn.LayerNorm) or _is_rms_norm(module) else None


def _linear(call: Call, gradient: torch.Tensor) -> dict[str, Part]:
    left, right = call.positions(gradient), call.positions(call.inputs)
    return {"weight": Factors(left, right), "bias": left.sum(1, dtype=wide_dtype(left.dtype))}


def _conv1d(call: Call, gradient: torch.Tensor) -> dict[str, Part]:
    left, right = call.positions(call.inputs), call.positions(gradient)
    return {"weight": Factors(left, right), "bias": right.sum(1, dtype=wide_dtype(right.dtype))}


def _embedding(call: Call, gradient: torch.Tensor) -> dict[str, Part]:
    module: Any = call.module
    ids = call.inputs.flatten()
    samples = call.spans.sample_of(ids.device).repeat_interleave(len(ids) // call.spans.n_flat)
    values = gradient.reshape(len(ids), -1).to(wide_dtype(gradient.dtype))
    values = values * getattr(module, "embed_scale", 1.0)  # embeddings of transformers that scale what they look up
    if module.padding_idx is not None:
        learns = ids != module.padding_idx
        ids, samples, values = ids[learns], samples[learns], values[learns]
    return {"weight": add_rows(samples, ids, values, n_rows=module.num_embeddings)}


def _norm(call: Call, gradient: torch.Tensor) -> dict[str, Part]:
    dtype = wide_dtype(gradient.dtype)
    wide = gradient.to(dtype)
    normalised = _normalised(call.module, call.inputs.to(dtype))
    return {"weight": call.positions(wide * normalised).sum(1), "bias": call.positions(wide).sum(1)}


def _normalised(module: Any, inputs: torch.Tensor) -> torch.Tensor:
    """What a normalisation multiplies with its weight."""
    if isinstance(module, nn.LayerNorm):
        return F.layer_norm(inputs, module.normalized_shape, eps=module.eps)
    epsilon = _epsilon(module)
    assert epsilon is not None
    return inputs * torch.rsqrt(inputs.square().mean(-1, keepdim=True) + epsilon)


def _is_rms_norm(module: Any) -> bool:
    """Whether a layer looks like one of the many RMSNorm classes: a vector as weight, an epsilon, and nothing else."""
    names = [name for name, _ in module.named_parameters(recurse=False)]
    return names == ["weight"] and module.weight.ndim == 1 and _epsilon(module) is not None


def _epsilon(module: Any) -> float | None:
    for name in ("variance_epsilon", "eps"):
        if isinstance(found := getattr(module, name, None), float):
            return found
    return None
