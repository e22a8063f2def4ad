"""One step expanded around a point: what is read of each row's gradient, and what all rows have in common.

``L(theta) - L(theta_i) = L(theta) - L(theta_a) + <gradient, d_i> - 1/2 <d_i, H d_i>`` with ``d_i = rate (u_i - u_a)``

``u_i`` is the update of row ``i``. The gradient of the task's loss ``L`` and its Hessian ``H`` (of which the leading
eigenpairs are taken, or none) are those at ``theta_a``; around the rest of the optimiser, the gradient at ``theta``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from hf_select.signals.gradients.anchor import mean_change
from hf_select.signals.gradients.curvature import leading_curvature
from hf_select.signals.gradients.direction import reference_directions
from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.factor import exact_dtype, wide_dtype
from hf_select.signals.gradients.loss import SampleLoss
from hf_select.signals.gradients.reduction import Directions, Dots, UpdateDots
from hf_select.signals.gradients.step import Step
from hf_select.signals.gradients.validation import Validation
from hf_select.signals.gradients.weight import has_exact_weights, movable


@dataclass(frozen=True)
class Expansion:
    """What is summed up over the parameters, and what is made of the sums.

    Attributes:
        reduction: yields the inner products of a row's update with ``K`` gradients, then with ``K k`` eigenvectors.
        constants: ``(K,)``, added to the former.
        values: ``(K, k)`` eigenvalues; ``k`` is 0 without curvature.
        centres: ``(K, k)``, taken from the latter.
    """

    reduction: Dots | UpdateDots
    constants: NDArray[np.float64]
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    centres: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    def influence(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The influence of rows.

        Args:
            sums: ``(n, K + K k)`` or more, of the reduction.

        Returns:
            ``(n, K)``.
        """
        n_tasks = len(self.constants)
        found: NDArray[np.float64] = sums[:, :n_tasks] + self.constants
        if self.values.size:
            bent = sums[:, n_tasks : n_tasks + self.values.size].reshape(len(sums), *self.values.shape) - self.centres
            found = found - 0.5 * (self.values * bent**2).sum(2)
        return found


@dataclass(frozen=True)
class Expander:
    """Expands the step of an optimiser.

    Attributes:
        engine: the model.
        loss: the loss of each row.
        validation: the loss that is to fall.
        max_tokens: tokens of a batch.
        max_norm: norm that a row's gradient is clipped to; ``None`` for no clipping.
    """

    engine: GradientEngine
    loss: SampleLoss
    validation: Validation
    max_tokens: int
    max_norm: float | None

    def plain(self) -> Expansion:
        """Products of gradients: no optimiser, no learning rate."""
        return Expansion(Dots(self._gradients()), np.zeros(self.validation.n_tasks))

    def at_rest(self, step: Step, *, linear: bool) -> Expansion:
        """Around the point where the step leads at a zero gradient.

        Args:
            step: the optimiser's step.
            linear: hold Adam's denominator still.

        Returns:
            The expansion, to first order.
        """
        gradients = self._gradients()
        constants = self._drop_at_rest(step, gradients)
        if linear or step.is_linear:
            return Expansion(Dots(step.linearised(gradients)), constants)
        scaled = step.scaled(gradients)
        return Expansion(UpdateDots(step.update, scaled), constants - _at_rest(step, scaled))

    def around_the_mean(self, step: Step, n_pairs: int = 0) -> Expansion:
        """Around the point where the step leads on average.

        Args:
            step: the optimiser's step.
            n_pairs: eigenpairs of each task's Hessian; 0 for first order.

        Returns:
            The expansion.
        """
        change = mean_change(self.engine, self.loss, step, max_norm=self.max_norm, max_tokens=self.max_tokens)
        parameters, validation = self.engine.parameters, self.validation
        before = validation.means(self.engine)
        with movable(parameters) as move:
            for name, weights in parameters.items():
                rested = step.moved(name, weights.detach())
                move({name: rested - step.rates[name] * change[name] if name in change else rested})
            constants = before - validation.means(self.engine)
            directions = self._gradients()
            values = np.zeros((validation.n_tasks, 0))
            if n_pairs:
                bent = leading_curvature(self.engine, validation.losses, validation.batches, directions, n_pairs)
                values = bent.values
                directions = {name: torch.cat([part, bent.vectors[name]]) for name, part in directions.items()}
        scaled = step.scaled(directions)
        common = np.zeros(validation.n_tasks * (1 + n_pairs))
        for name in change.keys() & scaled.keys():
            common += _products(change[name], scaled[name])
        reduction: Dots | UpdateDots = (
            Dots(step.linearised(directions)) if step.is_linear else UpdateDots(step.update, scaled)
        )
        if not step.is_linear:
            common += _at_rest(step, scaled)
        of_gradients, of_vectors = np.split(common, [validation.n_tasks])
        return Expansion(reduction, constants - of_gradients, values, of_vectors.reshape(values.shape))

    def _gradients(self) -> Directions:
        """The gradient of each task's loss, with the weights of now."""
        return reference_directions(self.engine, self.validation.losses, of_units=False, unit=False)

    def _drop_at_rest(self, step: Step, gradients: Directions) -> NDArray[np.float64]:
        """``L(theta) - L(theta_0)``; to first order where the weights cannot hold a step."""
        parameters = self.engine.parameters
        if not has_exact_weights(self.loss.model):
            drops = np.zeros(self.validation.n_tasks)
            for name, directions in gradients.items():
                weights = parameters[name].detach().to(wide_dtype(parameters[name].dtype))
                drops += _products(weights - step.moved(name, weights), directions)
            return drops
        before = self.validation.means(self.engine)
        with movable(parameters) as move:
            for name, parameter in parameters.items():
                move({name: step.moved(name, parameter.detach())})
            return before - self.validation.means(self.engine)


def _at_rest(step: Step, scaled: Directions) -> NDArray[np.float64]:
    """Inner products of the update of a zero gradient with directions."""
    products = np.zeros(len(next(iter(scaled.values()))))
    for name, directions in scaled.items():
        update = step.update(name, torch.zeros_like(directions[:1]), lambda whole: whole)
        products += _products(update[0], directions)
    return products


def _products(values: torch.Tensor, directions: torch.Tensor) -> NDArray[np.float64]:
    """``(K,)`` inner products of one tensor with directions of its shape, added up in float64."""
    dtype = exact_dtype(directions.device)
    found: NDArray[np.float64] = (directions.flatten(1).to(dtype) @ values.flatten().to(dtype)).cpu().numpy()
    return found
