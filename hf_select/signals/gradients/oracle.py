"""The definition: take the step of each row alone, read the loss of the reference rows, and go back."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select.signals.gradients.engine import CLIP_EPSILON, GradientEngine
from hf_select.signals.gradients.factor import squared_norm
from hf_select.signals.gradients.loss import SampleLoss
from hf_select.signals.gradients.step import Step
from hf_select.signals.gradients.validation import Validation
from hf_select.signals.gradients.weight import exact_forward, float64_forward, movable
from hf_select.signals.keys import Indices


@dataclass(frozen=True)
class Oracle:
    """Takes steps with the weights that training would have, and reads what came of them without rounding.

    What small steps on two rows do to the loss differs by little more than a float32 forward pass rounds (clipped SGD
    at 1e-5: by 3e-7, with noise of 1e-8, which reorders rows). So the losses are read in float64, activations and all.
    Meanwhile the weights take three times their memory beside themselves: as they were, and in float64. A parameter
    that a row does not use has gradient 0, as in a batch with rows that do.

    Attributes:
        engine: the model, with weights in float32 or float64.
        loss: the loss of each row.
        step: the optimiser's step.
        validation: the loss that is to fall.
        max_norm: norm that a row's gradient is clipped to; ``None`` for no clipping.
        in_float64: read the losses by forward passes in float64, where the device has it; else in that of the weights.
    """

    engine: GradientEngine
    loss: SampleLoss
    step: Step
    validation: Validation
    max_norm: float | None
    in_float64: bool = True

    def read(self, rows: Indices) -> NDArray[Any]:
        """How much a step on each row lowers the loss of each task.

        Args:
            rows: ``(n,)`` row ids.

        Returns:
            ``(n, K)``.
        """
        return np.stack([[drops.mean() for drops in self.drops(row)] for row in rows.tolist()])

    def drops(self, row: int) -> list[NDArray[np.float64]]:
        """How much a step on one row lowers the loss of each reference row.

        Args:
            row: the row id.

        Returns:
            ``(M,)`` of each task.
        """
        before = self._before
        with exact_forward(self.loss.model):
            gradient = self.engine.plain_gradient(self.loss, row)
        if self.max_norm is not None:
            norm = math.sqrt(sum(squared_norm(part) for part in gradient.values()))
            scale = min(1.0, self.max_norm / (norm + CLIP_EPSILON))
            gradient = {name: part * scale for name, part in gradient.items()}
        parameters = self.engine.parameters
        with movable(parameters) as move:
            for name, weights in parameters.items():
                move({name: self.step.moved(name, weights.detach(), gradient.get(name))})
            after = self._losses()
        return [then - now for then, now in zip(before, after, strict=True)]

    @cached_property
    def _before(self) -> list[NDArray[np.float64]]:
        return self._losses()

    def _losses(self) -> list[NDArray[np.float64]]:
        with float64_forward(self.loss.model) if self.in_float64 else nullcontext():
            return self.validation.read(self.engine)
