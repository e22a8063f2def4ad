"""What an optimiser knows of each parameter, by the parameter's name: of one that trains, or of one that was saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from hf_select.errors import ConfigError
from hf_select.signals.gradients.optimizer import names_by_group, optimizer_file

_ADAM = frozenset({"betas", "eps", "amsgrad"})
_SGD = frozenset({"momentum", "dampening", "nesterov"})
_CLASSES = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


class Known(NamedTuple):
    """What an optimiser knows of one parameter.

    Attributes:
        settings: of its group: learning rate, betas, weight decay.
        state: its running means; empty before the first step.
    """

    settings: Mapping[str, Any]
    state: Mapping[str, Any]

    @property
    def is_adam(self) -> bool:
        """Whether the group is one of Adam or AdamW; else it is one of SGD."""
        return self.settings.keys() >= _ADAM


def live_state(optimizer: Any, parameters: Mapping[str, nn.Parameter]) -> dict[str, Known]:
    """The state of an optimiser, as it stands now.

    Args:
        optimizer: of torch, possibly inside the wrapper of ``accelerate``.
        parameters: the parameters that are scored, by name.

    Returns:
        What it knows of each of them; its tensors are the optimiser's own.

    Raises:
        ConfigError: if its step is not known here, or it does not train one of the parameters.
    """
    inner = optimizer.optimizer if hasattr(optimizer, "optimizer") else optimizer
    if type(inner) not in _CLASSES:
        raise ConfigError(
            f"The step of {type(inner).__name__} is not known: the optimiser must be torch's SGD, Adam or AdamW "
            f"(optim='adamw_torch' or 'sgd' in the TrainingArguments). Or use engine='plain', which needs none."
        )
    groups = {id(parameter): group for group in inner.param_groups for parameter in group["params"]}
    strangers = [name for name, parameter in parameters.items() if id(parameter) not in groups]
    if strangers:
        raise ConfigError(
            f"The optimiser does not train {len(strangers)} of the {len(parameters)} parameters that require a "
            f"gradient (first: {strangers[:3]}). Give the optimiser of this very model, or freeze those "
            f"(requires_grad_(False))."
        )
    return {name: Known(groups[id(p)], inner.state.get(p, {})) for name, p in parameters.items()}


def stored_state(folder: Path, model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> dict[str, Known]:
    """The state that the ``Trainer`` saved.

    Args:
        folder: a checkpoint of the ``Trainer``.
        model: the model of the checkpoint.
        parameters: the parameters that were trained, all of them, by name in the order of the model.

    Returns:
        What the optimiser knew of each of them.

    Raises:
        ConfigError: if there is no state, its optimiser's step is not known here, or it is of other parameters.
    """
    path = optimizer_file(folder)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    groups = stored["param_groups"]
    for group in groups:
        if not (group.keys() >= _ADAM or group.keys() >= _SGD):
            raise ConfigError(
                f"{path} has groups of {sorted(group)}: neither of SGD nor of Adam or AdamW of torch. Train with "
                f"optim='adamw_torch', or use engine='plain', which needs no optimiser."
            )
    known = {}
    for group, names in zip(groups, names_by_group(path, groups, model, parameters), strict=True):
        for index, name in zip(group["params"], names, strict=True):
            known[name] = Known(group, stored["state"].get(index, {}))
    return known
