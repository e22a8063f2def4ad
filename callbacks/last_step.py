"""Ends a training that is resumed from its last step, instead of training one step more."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_select.training.last_step import end_at_last_step


class LastStepCallback(TrainerCallback):
    """Lets a training that was cut off behind its last step, but before its end, be resumed like any other.

    A ``Trainer`` that is resumed from a checkpoint of the last step, in the middle of an epoch, trains one step more
    and ends with other weights. With this callback, or a ``SelectionCallback``, it ends with those of the checkpoint;
    evaluation and saving go on as ever. A streamed dataset is out of its reach.

    Example:
        ``Trainer(..., callbacks=[LastStepCallback()])``
    """

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        train_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        """Take the rows away where all steps are done."""
        end_at_last_step(state, train_dataloader)
