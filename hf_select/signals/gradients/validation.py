"""The loss that a step is to lower: of the reference rows of each task, read exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ConfigError, RowError
from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.factor import exact_dtype
from hf_select.signals.gradients.loss import SampleLoss, make_loss
from hf_select.signals.gradients.weight import exact_forward
from hf_select.signals.keys import Indices
from hf_select.signals.layout import Layout
from hf_select.signals.plan import make_plan
from hf_select.signals.source import Source


@dataclass(frozen=True)
class Validation:
    """Losses of the reference rows of each task.

    Attributes:
        losses: in float32, to take gradients of.
        exact: the same in float64, of logits as they are: at small learning rates, what a step changes is less than the
            rounding of a float32 loss.
        max_tokens: tokens of a batch.
    """

    losses: Mapping[str, SampleLoss]
    exact: Mapping[str, SampleLoss]
    max_tokens: int

    @property
    def n_tasks(self) -> int:
        """Reference tasks."""
        return len(self.losses)

    def read(self, engine: GradientEngine) -> list[NDArray[np.float64]]:
        """Read the loss of every reference row.

        Args:
            engine: the model, with the weights of now.

        Returns:
            ``(M,)`` losses of each task's rows that have one, in their order.
        """
        found = []
        with exact_forward(engine.loss.model):
            for task, batches in self.batches.items():
                loss = self.exact[task]
                values: NDArray[np.float64] = np.full(len(loss.lengths), np.nan)
                for rows in batches:
                    values[rows] = engine.losses(loss, rows)
                found.append(values[loss.lengths > 0])
        return found

    def means(self, engine: GradientEngine) -> NDArray[np.float64]:
        """Read the loss of each task, the mean over its rows.

        Args:
            engine: the model, with the weights of now.

        Returns:
            ``(K,)``.
        """
        return np.asarray([losses.mean() for losses in self.read(engine)])

    @cached_property
    def batches(self) -> dict[str, list[Indices]]:
        """Row ids of each task's rows that have a loss, the same batches before and after a step."""
        plans = {
            task: make_plan(loss.lengths, self.max_tokens, padded=loss.layout is Layout.PADDED)
            for task, loss in self.losses.items()
        }
        return {task: [rows for shard in plan.shards for rows in shard] for task, plan in plans.items()}


def make_validation(source: Source) -> Validation:
    """The loss of the reference rows of a source.

    Args:
        source: reference rows and model.

    Returns:
        The loss.

    Raises:
        ConfigError: if there are no reference rows.
        RowError: if none of a task's rows has a target.
    """
    if not source.reference:
        raise ConfigError("one_step_influence needs rows to aim at; give reference=, one dataset or one per task.")
    parts = {task: replace(source, rows=rows) for task, rows in source.reference.items()}
    losses = {task: make_loss(part) for task, part in parts.items()}
    for task, loss in losses.items():
        if not loss.lengths.any():
            raise RowError(
                f"None of the {len(loss.lengths)} reference rows of task {task!r} has a target to learn (a response "
                f"that fits into max_length, or a label)."
            )
    wide = exact_dtype(next(source.models.model.parameters()).device)
    exact = {task: make_loss(part, dtype=wide) for task, part in parts.items()}
    return Validation(losses, exact, source.options.max_tokens_per_batch)
