"""Stops a training whose loss is not a number, instead of spending the rest of the budget on it."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_select.errors import ModelError


class FiniteLossCallback(TrainerCallback):
    """Raises at the first logged loss or gradient norm that is NaN or infinite.

    Set ``logging_nan_inf_filter=False``: by default the ``Trainer`` replaces such losses by the mean of the others, so
    that a dead run logs plausible numbers.
    """

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check what was logged.

        Args:
            args: the arguments of the training.
            state: where it stands.
            control: not touched.
            logs: what was logged.
            **kwargs: what else the ``Trainer`` hands out.

        Raises:
            ModelError: if the loss or the gradient norm is not finite.
        """
        for name in ("loss", "grad_norm", "train_loss"):
            value = (logs or {}).get(name)
            if isinstance(value, int | float) and not math.isfinite(value):
                raise ModelError(
                    f"{name} is {value} at step {state.global_step} (learning_rate={args.learning_rate:g}). Lower the "
                    f"learning rate, train in bfloat16 instead of float16, or look for broken rows; nothing was saved."
                )
