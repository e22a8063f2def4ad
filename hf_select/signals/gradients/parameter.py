"""Which parameters of a model a gradient is taken of."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from hf_select.errors import ModelError
from hf_select.signals.identity import key_of


def scored_parameters(model: nn.Module, pattern: str | None = None) -> dict[str, nn.Parameter]:
    """The parameters that gradients are taken of.

    Args:
        model: the model, out of its parallel wrapper.
        pattern: a regular expression that is searched in their names; by default all that require a gradient, but of a
            model with adapters only those of the active adapters (and what is trained beside them).

    Returns:
        Parameters by name, in the order of the model; one that is used twice has its first name.

    Raises:
        ModelError: if there is none.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.is_floating_point()}
    if pattern is not None:
        chosen = {name: parameter for name, parameter in named.items() if re.search(pattern, name)}
        if not chosen:
            raise ModelError(f"No parameter of {type(model).__name__} matches {pattern!r}; they are {_some(named)}.")
        return chosen
    adapters = active_adapters(model)
    adapted = {name: parameter for name, parameter in named.items() if adapters & set(name.split("."))}
    trainable = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
    if adapted and not adapted.keys() <= trainable.keys():  # loaded to be used, not to be trained
        return adapted
    if not trainable:
        raise ModelError(
            f"No parameter of {type(model).__name__} requires a gradient, so nothing would be trained. Call "
            f"model.requires_grad_(True), or give a model with a LoRA adapter."
        )
    return trainable


def parameters_hash(model: nn.Module, pattern: str | None = None) -> str:
    """Hash of the names of the parameters that gradients are taken of; weights are hashed elsewhere.

    Args:
        model: the model, out of its parallel wrapper.
        pattern: as in ``scored_parameters``.

    Returns:
        32 hexadecimal digits.
    """
    return key_of(list(scored_parameters(model, pattern)))


def active_adapters(model: nn.Module) -> frozenset[str]:
    """Names of the adapters that take part in the model's forward pass.

    Args:
        model: the model, bare or of PEFT.

    Returns:
        The names; none for a model without adapter layers, or with all of them disabled.
    """
    names: set[str] = set()
    for module in model.modules():
        layer: Any = module
        if hasattr(layer, "get_base_layer") and hasattr(layer, "active_adapters") and not layer.disable_adapters:
            names |= set(layer.active_adapters)
    return frozenset(names)


def _some(named: dict[str, nn.Parameter]) -> str:
    names = list(named)
    return ", ".join(names[:3]) + (f", ... {names[-1]}" if len(names) > 3 else "")
