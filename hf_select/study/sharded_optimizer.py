"""The state of an optimiser for a model that FSDP shards, which can take it only once there are shards."""

from __future__ import annotations

from typing import Any

from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class ShardedOptimizerCallback(TrainerCallback):
    """Gives the optimiser of a model that FSDP shards the state of a checkpoint, once there are shards.

    Args:
        stored: the whole state, by the names of the parameters.
    """

    def __init__(self, stored: dict[str, Any]) -> None:
        self._stored = stored

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        """Load it, at the learning rate that the schedule starts with."""
        if state.global_step:  # resumed: the Trainer has loaded a later one
            return
        optimizer = kwargs["optimizer"].optimizer
        rates = [(group["lr"], group["initial_lr"]) for group in optimizer.param_groups]
        options = StateDictOptions(full_state_dict=True)
        set_optimizer_state_dict(kwargs["model"], optimizer, self._stored, options=options)
        for group, (rate, first) in zip(optimizer.param_groups, rates, strict=True):
            group["lr"], group["initial_lr"] = rate, first
