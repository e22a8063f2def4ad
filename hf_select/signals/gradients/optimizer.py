"""What Adam knew of each parameter at a checkpoint of the ``Trainer``, by the parameter's name.

``optimizer.pt`` numbers parameters in the order of its groups. The Trainer makes two: parameters with weight decay, and
those without (biases, normalisations); inside a group they keep the order of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import nn

from hf_select.errors import ConfigError
from hf_select.signals.gradients.factor import wide_dtype
from hf_select.signals.gradients.update import Moments

_FILES = ("optimizer.pt", "optimizer.bin")
_BYTES_AT_ONCE = 2**24


def read_moments(folder: Path, model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> dict[str, Moments]:
    """Adam's state of some parameters.

    Args:
        folder: a checkpoint of the ``Trainer``.
        model: the model of the checkpoint.
        parameters: the parameters that were trained, all of them, by name in the order of the model.

    Returns:
        The state of each parameter. One that never had a gradient is as new.

    Raises:
        ConfigError: if there is no state, if it is of another optimiser, or belongs to other parameters.
    """
    path = optimizer_file(folder)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    moments = {}
    for group in stored["param_groups"]:
        if "betas" not in group:
            raise ConfigError(
                f"{path} is the state of an optimiser without betas, not of Adam or AdamW; give update='sgd'."
            )
    groups = names_by_group(path, stored["param_groups"], model, parameters)
    for group, names in zip(stored["param_groups"], groups, strict=True):
        betas, eps = (float(group["betas"][0]), float(group["betas"][1])), float(group["eps"])
        for index, name in zip(group["params"], names, strict=True):
            moments[name] = _moments(path, name, stored["state"].get(index, {}), parameters[name], betas, eps)
    if not any(known.n_steps for known in moments.values()):
        raise ConfigError(f"{path} holds no step of any parameter; give a checkpoint that was saved after a step.")
    return moments


def optimizer_file(folder: Path) -> Path:
    """The file of the optimiser's state in a checkpoint.

    Args:
        folder: a checkpoint of the ``Trainer``.

    Returns:
        Its path.

    Raises:
        ConfigError: if there is none.
    """
    for name in _FILES:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(
        f"{folder} has no {' or '.join(_FILES)}; train with save_only_model=False, or give update='sgd', which needs "
        f"no optimiser state."
    )


def optimizer_hash(folder: Path) -> str:
    """Hash of the optimiser's state.

    Args:
        folder: a checkpoint of the ``Trainer``.

    Returns:
        32 hexadecimal digits.
    """
    digest = xxhash.xxh3_128()
    with optimizer_file(folder).open("rb") as file:
        while part := file.read(_BYTES_AT_ONCE):
            digest.update(part)
    return str(digest.hexdigest())


def names_by_group(
    path: Path, groups: Sequence[Mapping[str, Any]], model: nn.Module, parameters: Mapping[str, nn.Parameter]
) -> list[list[str]]:
    """Names of the parameters of each group, in the order of the state.

    Args:
        path: where the state lies, for the message.
        groups: its groups.
        model: the model.
        parameters: the parameters that were trained, by name in the order of the model.

    Returns:
        The names.

    Raises:
        ConfigError: if the groups are of other parameters.
    """
    sizes = [len(group["params"]) for group in groups]
    if all(isinstance(name, str) for group in groups for name in group["params"]):  # full state of FSDP
        named = [[str(name).replace("_fsdp_wrapped_module.", "") for name in group["params"]] for group in groups]
    elif all("param_names" in group for group in groups):
        named = [[str(name) for name in group["param_names"]] for group in groups]
    elif len(groups) == 1:
        named = [list(parameters)]
    else:
        decayed = _decayed(model)
        named = [[n for n in parameters if n in decayed], [n for n in parameters if n not in decayed]]
    unknown = [name for group in named for name in group if name not in parameters]
    if [len(group) for group in named] != sizes or unknown:
        raise ConfigError(
            f"{path} has groups of {sizes} parameters, and the checkpoint has {len(parameters)} trainable ones, which "
            f"the Trainer would group as {[len(group) for group in named]}. Give the model with the parameters "
            f"trainable (requires_grad) that were trained, or update='sgd'."
        )
    return named


def _decayed(model: nn.Module) -> frozenset[str]:
    """Names of the parameters that the Trainer decays."""
    from transformers import Trainer

    return frozenset(Trainer.get_decay_parameter_names(None, model))  # type: ignore[arg-type]


def _moments(
    path: Path, name: str, state: Mapping[str, Any], parameter: nn.Parameter, betas: tuple[float, float], eps: float
) -> Moments:
    """The state of one parameter on its device; zeros where there is none, as in a new optimiser."""
    dtype = wide_dtype(parameter.dtype)
    if not state:
        fresh = torch.zeros_like(parameter, dtype=dtype)
        return Moments(fresh, fresh, 0, betas, eps)
    missing = {"exp_avg", "exp_avg_sq", "step"} - set(state)
    if missing:
        raise ConfigError(f"{path} lacks {sorted(missing)} of {name!r}: it is not of Adam or AdamW. Give update='sgd'.")
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    if mean.shape != parameter.shape or square.shape != parameter.shape:
        raise ConfigError(
            f"{path} has a state of shape {tuple(mean.shape)} for {name!r} of shape {tuple(parameter.shape)}: it "
            f"belongs to other parameters. Give the checkpoint of this model, or update='sgd'."
        )
    mean, square = (values.to(parameter.device, dtype) for values in (mean, square))
    return Moments(mean, square, int(state["step"]), betas, eps)
