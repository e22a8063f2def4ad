"""The point from which one step is expanded: where the step goes at a zero gradient, or where it goes on average.

``L(theta) - L(theta_i) = L(theta) - L(theta_a) + rate <gradient L, u_i - u_a> + O(rate^2)``

theta_a = rest    the gradient of L is taken at theta: cheapest
theta_a = mean    the gradient of L is taken at theta_a: what rows have in common is no longer an error
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.gradient import ParameterGradient
from hf_select.signals.gradients.loss import SampleLoss
from hf_select.signals.gradients.step import Step
from hf_select.signals.keys import Indices, Integers
from hf_select.signals.layout import Layout
from hf_select.signals.plan import make_plan

_MAX_ROWS = 256  # that the mean step is taken over


@dataclass(frozen=True)
class UpdateSum:
    """Adds up ``U(G_n) - U(0)`` over the rows, for each parameter.

    Attributes:
        step: the step with the update ``U``.
        parameters: the parameters, for their shapes.
        sums: what was added up so far; a parameter that no row used is not there.
    """

    step: Step
    parameters: Mapping[str, nn.Parameter]
    sums: dict[str, torch.Tensor] = field(default_factory=dict)

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        """Nothing is added up for a row alone."""
        return torch.empty(n_samples, 0, device=device)

    def add(self, gradient: ParameterGradient, out: torch.Tensor) -> None:  # noqa: ARG002
        """Add the updates of one parameter.

        Args:
            gradient: its gradients.
            out: not used.
        """
        for block in gradient.blocks():
            if block.name not in self.sums:
                self.sums[block.name] = torch.zeros_like(self.parameters[block.name], dtype=block.values.dtype)
            total = self.sums[block.name]
            resting = self.step.update(block.name, torch.zeros_like(block.values), block.part)
            change = self.step.update(block.name, block.values, block.part) - resting
            if isinstance(block.rows, torch.Tensor):
                total.index_add_(0, block.rows, change)
            else:
                total[block.rows] += change.sum(0)

    def add_absent(self, names: Collection[str], out: torch.Tensor) -> None:
        """Nothing: at a zero gradient there is nothing to add."""


def mean_change(
    engine: GradientEngine, loss: SampleLoss, step: Step, *, max_norm: float | None, max_tokens: int
) -> dict[str, torch.Tensor]:
    """Mean of ``U(G_n) - U(0)`` over rows of all lengths, at most 256 of them.

    Args:
        engine: the model.
        loss: the loss of each row.
        step: the step with the update ``U``.
        max_norm: norm that a row's gradient is clipped to; ``None`` for no clipping.
        max_tokens: tokens of a batch.

    Returns:
        The mean for each parameter; one that no row uses is left out.
    """
    rows = spread_over_lengths(loss.lengths, _MAX_ROWS)
    plan = make_plan(loss.lengths[rows], max_tokens, padded=loss.layout is Layout.PADDED)
    total = UpdateSum(step, engine.parameters)
    for shard in plan.shards:
        for batch in shard:
            engine.read(loss, rows[batch], [total], max_norm=max_norm)
    return {name: change / len(rows) for name, change in total.sums.items()}


def spread_over_lengths(lengths: Integers, n_rows: int) -> Indices:
    """Rows of all lengths: from the shortest to the longest in even steps.

    Args:
        lengths: ``(N,)`` tokens of each row; rows of length 0 are left out.
        n_rows: how many to take.

    Returns:
        ``(min(n_rows, M),)`` row ids, ascending.
    """
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    places = np.linspace(0, len(order) - 1, min(n_rows, len(order))).round().astype(np.int64)
    return np.sort(order[places])
