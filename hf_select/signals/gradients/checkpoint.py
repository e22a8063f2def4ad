"""Checkpoints of the ``Trainer``: their weights, whole or of an adapter, and how much each of them counts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hf_select.errors import ConfigError
from hf_select.signals.models import Models

_ADAPTER = "hf_select_checkpoint"


def learning_rate_weights(folders: Sequence[Path]) -> NDArray[np.float64]:
    """How much each checkpoint counts: the mean learning rate of the steps since the checkpoint before it.

    With one checkpoint per epoch that is the mean learning rate of its epoch.

    Args:
        folders: ``E`` checkpoints of one training run, in any order.

    Returns:
        ``(E,)`` weights with sum 1.

    Raises:
        ConfigError: if a checkpoint tells no step or no learning rate, or two are of the same step.

    Source:
        Xia et al. 2024 (LESS), section 4.1.
    """
    if len(folders) == 1:
        return np.ones(1)
    states = [_trainer_state(folder) for folder in folders]
    steps = [int(state["global_step"]) for state in states]
    if len(set(steps)) < len(steps):
        raise ConfigError(f"Checkpoints must be of different steps of one run, but their steps are {steps}.")
    weights: NDArray[np.float64] = np.zeros(len(folders))
    for place, (folder, state) in enumerate(zip(folders, states, strict=True)):
        before = max((step for step in steps if step < steps[place]), default=0)
        rates = [
            float(log["learning_rate"])
            for log in state["log_history"]
            if "learning_rate" in log and before < log["step"] <= steps[place]
        ]
        if not rates:
            raise ConfigError(
                f"{folder} logs no learning rate from step {before + 1} to {steps[place]}, so it has no weight. Train "
                f"with logging_steps of at most {steps[place] - before}."
            )
        weights[place] = np.mean(rates)
    if not weights.sum() > 0:
        raise ConfigError(f"All logged learning rates are 0 (steps {steps}); give checkpoints that were trained.")
    weights /= weights.sum()
    return weights


@contextmanager
def opened(folder: Path, models: Models) -> Iterator[Models]:
    """The models with the weights of a checkpoint in place of the model's own.

    An adapter is put into the model for a while and taken out again; whole weights are loaded anew.

    Args:
        folder: a checkpoint of the ``Trainer``.
        models: the models.

    Yields:
        Models: the same with the checkpoint's weights.

    Raises:
        ConfigError: if the folder holds no weights.
    """
    if (folder / "adapter_config.json").is_file():
        with _adapted(models.model, folder) as model:
            yield _with_model(models, model)
    elif (folder / "config.json").is_file():
        whole = _with_model(models, folder)
        if not isinstance(models.given_model, str | Path):
            _freeze_alike(whole.model, models.model)
        yield whole
    else:
        raise ConfigError(
            f"{folder} has neither adapter_config.json nor config.json; give folders that the Trainer saved "
            f"(checkpoint-...)."
        )


def _with_model(models: Models, model: Any) -> Models:
    return replace(
        models, given_model=model, given_tokenizer=models.tokenizer, revision=None, given_task=models.task
    )  # fmt: skip


@contextmanager
def _adapted(model: nn.Module, folder: Path) -> Iterator[nn.Module]:
    """The model with the adapter of a checkpoint; the model's own adapters are switched off meanwhile."""
    from accelerate.utils import extract_model_from_parallel
    from peft import PeftModel

    bare = extract_model_from_parallel(model, keep_torch_compile=False)
    flags = [(parameter, parameter.requires_grad) for parameter in bare.parameters()]
    modes = [(module, module.training) for module in bare.modules()]
    try:
        if isinstance(bare, PeftModel):
            active = bare.active_adapter
            bare.load_adapter(folder, _ADAPTER, is_trainable=True)
            try:
                bare.set_adapter(_ADAPTER)
                yield bare
            finally:
                bare.set_adapter(active)
                bare.delete_adapter(_ADAPTER)
        else:
            had_config = hasattr(bare, "peft_config")
            wrapped = PeftModel.from_pretrained(bare, folder, is_trainable=True)
            try:
                yield wrapped
            finally:
                wrapped.unload()
                if not had_config and hasattr(bare, "peft_config"):  # left there by some releases
                    del bare.peft_config
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        for module, training in modes:
            module.training = training


def _freeze_alike(model: nn.Module, given: nn.Module) -> None:
    """Freeze what is frozen in the given model: the optimiser's state knows trained parameters alone."""
    bare: nn.Module = getattr(given, "module", given)
    frozen = {name for name, parameter in bare.named_parameters() if not parameter.requires_grad}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def _trainer_state(folder: Path) -> dict[str, Any]:
    path = folder / "trainer_state.json"
    if not path.is_file():
        raise ConfigError(f"{folder} has no trainer_state.json; several checkpoints are weighted by what it logs.")
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return state
