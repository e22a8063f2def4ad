"""The value projection of a model's last layer, found by its name."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from hf_select.errors import ModelError
from hf_select.signals.gradients.parameter import active_adapters
from hf_select.signals.reader import inner_model

_ALONE = ("v_proj", "value", "value_proj", "v_lin")  # Llama and most others; BERT, RoBERTa; DeBERTa; DistilBERT
_FUSED = ("c_attn", "qkv_proj", "Wqkv", "query_key_value")  # GPT-2, StarCoder; Phi-3; ModernBERT; GPT-NeoX, BLOOM


class ValueProjection(NamedTuple):
    """A layer that yields values, alone or beside queries and keys.

    Attributes:
        weight: name of its weight.
        restrict: which rows (dimension 0) or columns (dimension 1) of the weight yield values; ``None`` for all.
    """

    weight: str
    restrict: tuple[int, torch.Tensor] | None = None


def last_value_projection(model: nn.Module) -> ValueProjection:
    """Find the value projection of the last layer.

    Args:
        model: a model of transformers, out of its parallel wrapper, with or without adapters.

    Returns:
        The layer.

    Raises:
        ModelError: if no layer has a known name, or the order of its outputs is not known.
    """
    name, module = _last_named(model)
    kind = name.removesuffix(".base_layer").rpartition(".")[2]
    if kind in _ALONE:
        return ValueProjection(f"{name}.weight")
    inner: Any = inner_model(model)
    from transformers.pytorch_utils import Conv1D

    dimension = 1 if isinstance(module, Conv1D) else 0
    outputs = _values_among(inner.config.get_text_config(), int(module.weight.shape[dimension]), kind)
    if outputs is None:
        raise ModelError(
            f"The outputs of {name} of {type(inner).__name__} hold queries, keys and values in an order that is not "
            f"known here. Measure effort by 'all' or 'loss' instead."
        )
    return ValueProjection(f"{name}.weight", (dimension, outputs))


def last_lora_b(model: nn.Module) -> str:
    """Find LoRA's B of the last layer's value projection.

    Args:
        model: a model with adapters, out of its parallel wrapper.

    Returns:
        Name of its weight.

    Raises:
        ModelError: if that layer has no LoRA adapter.
    """
    name, _ = _last_named(model)
    path = name.removesuffix(".base_layer")
    known = dict(model.named_parameters())
    for adapter in sorted(active_adapters(model)):
        weight = f"{path}.lora_B.{adapter}.weight"
        if weight in known:
            return weight
    raise ModelError(
        f"{type(model).__name__} has no active LoRA adapter at {path}, whose B effort 'lora_b' is measured by. Add one "
        f"there (peft.LoraConfig with target_modules), or measure by 'last_value_projection'."
    )


def _last_named(model: nn.Module) -> tuple[str, Any]:
    """The last layer with one of the known names that holds a weight itself."""
    found = None
    for name, module in model.named_modules():
        kind = name.removesuffix(".base_layer").rpartition(".")[2]
        if kind in (*_ALONE, *_FUSED) and "weight" in dict(module.named_parameters(recurse=False)):
            found = (name, module)
    if found is None:
        raise ModelError(
            f"{type(model).__name__} has no layer named {', '.join((*_ALONE, *_FUSED))}, so its last value projection "
            f"is not known. Measure effort by 'all' or 'loss' instead."
        )
    return found


def _values_among(config: Any, n_outputs: int, kind: str) -> torch.Tensor | None:
    """Which outputs of a fused layer are values; ``None`` if that is not known.

    fused at the end   q q q q k k v v            query heads first, as many keys as values
    by head            q k v q k v                each head has its query, key and value side by side
    """
    n_heads = config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // n_heads
    n_queries = n_heads * head_size
    by_head = kind == "query_key_value" or getattr(config, "multi_query", None) is False
    if by_head and n_outputs == 3 * n_queries:
        return torch.arange(n_outputs).reshape(n_heads, 3, head_size)[:, 2].flatten()
    n_rest = n_outputs - n_queries
    if by_head or config.model_type == "codegen" or n_rest <= 0 or n_rest % 2:
        return None
    return torch.arange(n_outputs - n_rest // 2, n_outputs)
