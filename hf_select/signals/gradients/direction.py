"""What the reference rows of each task pull the parameters to: one direction per task."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from hf_select.errors import ConfigError, ModelError, RowError
from hf_select.signals.gradients.coverage import coverage_of
from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.factor import squared_norm, wide_dtype
from hf_select.signals.gradients.loss import SampleLoss
from hf_select.signals.gradients.reduction import Directions


def reference_directions(
    engine: GradientEngine, references: Mapping[str, SampleLoss], *, of_units: bool, unit: bool
) -> Directions:
    """The mean gradient of each task's reference rows, over the covered parameters.

    Args:
        engine: the model.
        references: the loss of the reference rows of each task.
        of_units: scale each row's gradient to length 1 first.
        unit: scale the mean to length 1.

    Returns:
        One direction per task, in the order of the tasks.

    Raises:
        ConfigError: if there is no task.
        RowError: if no reference row of a task has a loss.
        ModelError: if a gradient is not finite, or a task's is 0.
    """
    if not references:
        raise ConfigError("There are no reference rows to aim at; give reference=, one dataset or one per task.")
    names = engine.coverage.names
    directions: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    for task, loss in references.items():
        total = _mean_gradient(engine, task, loss, of_units=of_units)
        squared = {name: squared_norm(gradient) for name, gradient in total.items()}
        coverage_of(names, engine.sizes, squared).require_enough(f"mean gradient of reference task {task!r}")
        norm = math.sqrt(sum(squared[name] for name in names & squared.keys()))
        if not (norm > 0 and math.isfinite(norm)):
            raise ModelError(f"The gradient of reference task {task!r} has norm {norm}; it points nowhere.")
        for name in names:
            mean = total.get(name, torch.zeros_like(engine.parameters[name], dtype=wide_dtype(engine.dtype)))
            directions[name].append(mean / norm if unit else mean)
    return {name: torch.stack(of_tasks) for name, of_tasks in directions.items()}


def _mean_gradient(engine: GradientEngine, task: str, loss: SampleLoss, *, of_units: bool) -> dict[str, torch.Tensor]:
    """Mean of the gradients of all rows that have one, of all parameters that are scored."""
    rows = loss.lengths.nonzero()[0].tolist()
    if not rows:
        raise RowError(
            f"None of the {len(loss.lengths)} reference rows of task {task!r} has a target to learn (a response that "
            f"fits into max_length, or a label)."
        )
    total: dict[str, torch.Tensor] = {}
    covered = engine.coverage.names
    for row in rows:
        gradient = engine.plain_gradient(loss, row)
        scale = 1 / len(rows)
        if of_units:
            norm = math.sqrt(sum(squared_norm(part) for name, part in gradient.items() if name in covered))
            if not (norm > 0 and math.isfinite(norm)):
                raise ModelError(f"The gradient of row {row} of reference task {task!r} has norm {norm}.")
            scale /= norm
        for name, part in gradient.items():
            total[name] = total[name].add_(part, alpha=scale) if name in total else part * scale
    return total
