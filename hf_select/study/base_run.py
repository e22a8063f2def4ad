"""The base run: one training whose checkpoints are studied, each measured."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_select.experiment.model import load_trained
from hf_select.experiment.process import on_main_process
from hf_select.study.measurement import measure_study, values_of
from hf_select.study.model import make_model
from hf_select.study.setting import StudySetting
from hf_select.study.trainer import train_study

logger = logging.getLogger("hf_select")


class CheckpointCallback(TrainerCallback):
    """Saves model and optimiser at some steps.

    Args:
        steps: the steps.
    """

    def __init__(self, steps: Collection[int]) -> None:
        self._steps = frozenset(steps)

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 (the hook's signature is the Trainer's)
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Ask for a checkpoint if it is time."""
        if state.global_step in self._steps:
            control.should_save = True


def train_base(setting: StudySetting) -> dict[str, Any]:
    """Train the model of one seed and keep its checkpoints.

    Args:
        setting: what the seed works on.

    Returns:
        The training as plain data.
    """
    folder = setting.checkpoint(0).parent

    def compute() -> dict[str, Any]:
        on_main_process(lambda: _drop_torn(folder))
        arguments = setting.arguments
        max_length = arguments.data.max_length
        model = make_model(arguments.model, setting.tokenizer, seed=setting.seed, max_length=max_length)
        rows = setting.pool.features.select(setting.split.base)
        callbacks = [CheckpointCallback(setting.steps)]
        logger.info("Seed %d: the base run, %d steps.", setting.seed, setting.schedule.n_steps)
        return train_study(setting, model, rows, folder, setting.schedule, callbacks=callbacks).to_dict()

    found: dict[str, Any] = setting.run.stage(f"base/{setting.name}", compute)
    return found


def _drop_torn(folder: Path) -> None:
    """Remove a checkpoint that a killed run had not finished: its state is what the ``Trainer`` writes last."""
    for checkpoint in folder.glob("checkpoint-*"):
        if not (checkpoint / "trainer_state.json").is_file():
            shutil.rmtree(checkpoint)


def checkpoint_entries(setting: StudySetting) -> list[dict[str, Any]]:
    """What is known of every checkpoint of one seed.

    Args:
        setting: what the seed works on.

    Returns:
        One entry per checkpoint; ``measures`` holds the metrics with their intervals.
    """
    return [_entry(setting, step) for step in setting.steps]


def measure_checkpoint(setting: StudySetting, step: int) -> dict[str, Any]:
    """Loss and metric of every task at a checkpoint.

    Args:
        setting: what the seed works on.
        step: its step.

    Returns:
        What ``measure_study`` gives.
    """

    def compute() -> dict[str, Any]:
        model = load_checkpoint(setting, step)
        return measure_study(model, setting, setting.split.base)

    kind = "checkpoints" if setting.arguments.executes_code else "checkpoints-without-execution"
    measures: dict[str, Any] = setting.run.stage(f"{kind}/{setting.name}/step-{step}", compute)
    return measures


def load_checkpoint(setting: StudySetting, step: int) -> Any:
    """The model of a checkpoint, on this process's device.

    Args:
        setting: what the seed works on.
        step: its step.

    Returns:
        The model, in evaluation mode.
    """
    arguments = setting.arguments
    return load_trained(setting.checkpoint(step), arguments.model, setting.tokenizer, seed=setting.seed)


def _entry(setting: StudySetting, step: int) -> dict[str, Any]:
    folder, training = setting.checkpoint(step), setting.arguments.training
    measures = measure_checkpoint(setting, step)
    history = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    rows = training.per_device_train_batch_size * training.gradient_accumulation_steps
    return {
        "step": step,
        "tokens": round(step * rows * float(setting.pool.lengths[setting.split.base].mean())),
        "learning_rate": _learning_rate(folder),
        "phase": setting.schedule.phase(step),
        "train_loss": losses[-1] if losses else None,
        "validation_loss": measures["validation_loss"],
        "metric": values_of(measures["metric"]),
        "measures": measures["metric"],
    }


def _learning_rate(folder: Path) -> float:
    """What the schedule stood at behind that step."""
    import torch

    return float(torch.load(folder / "scheduler.pt", map_location="cpu", weights_only=True)["_last_lr"][0])
