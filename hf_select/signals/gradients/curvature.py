"""How the loss of each task bends: the leading eigenpairs of its Hessian, by Lanczos' method.

A product of the Hessian with a vector is the difference of two gradients, so any attention kernel will do and no second
derivative is formed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hf_select.errors import ModelError
from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.factor import wide_dtype
from hf_select.signals.gradients.loss import SampleLoss
from hf_select.signals.gradients.reduction import Directions
from hf_select.signals.gradients.weight import movable
from hf_select.signals.keys import Indices

_STEPS = {torch.float32: 3e-4, torch.float64: 1e-4}  # of a difference of gradients, relative to the weights
_EXHAUSTED = 1e-5  # a new direction this short beside its product with the Hessian is rounding: there are no more


@dataclass(frozen=True)
class Curvature:
    """Eigenpairs of each task's Hessian, as far as a Krylov space holds them (Ritz pairs).

    Attributes:
        values: ``(K, k)`` eigenvalues; 0 where a Hessian has fewer.
        vectors: ``K k`` directions of length 1 (or 0), those of the first task first.
    """

    values: NDArray[np.float64]
    vectors: Directions


def leading_curvature(
    engine: GradientEngine,
    losses: Mapping[str, SampleLoss],
    batches: Mapping[str, list[Indices]],
    gradients: Directions,
    n_pairs: int,
) -> Curvature:
    """The eigenpairs that bend the loss of each task most, with the weights of now.

    Each of the ``n_pairs`` products takes two gradients of a task's loss, and each vector the memory of the weights.

    Args:
        engine: the model; its weights are moved and put back bit by bit.
        losses: the loss of the reference rows of each of ``K`` tasks.
        batches: row ids of each task's rows that have a loss, by batch.
        gradients: ``K`` gradients of the tasks' losses, which the search starts from.
        n_pairs: ``k``, dimension of each task's Krylov space.

    Returns:
        The curvature.

    Raises:
        ModelError: if a gradient is not finite.

    Source:
        Lanczos 1950, with every new vector made orthogonal to all before it.
    """
    space = _Space(engine, [name for name in engine.parameters if name in gradients])
    values, vectors = [], []
    for place, (task, loss) in enumerate(losses.items()):
        start = space.flat({name: of_tasks[place] for name, of_tasks in gradients.items()})
        bend = space.hessian(loss, batches[task])
        of_task, basis = _ritz_pairs(bend, start, n_pairs)
        values.append(of_task)
        vectors.append(basis)
    return Curvature(np.stack(values), space.directions(torch.cat(vectors)))


@dataclass(frozen=True)
class _Space:
    """The parameters as one vector.

    Attributes:
        engine: the model.
        names: the parameters that are covered.
    """

    engine: GradientEngine
    names: list[str]

    def flat(self, parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """``(P,)``; 0 for a parameter that is not there."""
        parameters = self.engine.parameters
        dtype = wide_dtype(self.engine.dtype)
        return torch.cat(
            [parts.get(name, torch.zeros_like(parameters[name])).detach().flatten().to(dtype) for name in self.names]
        )

    def directions(self, vectors: torch.Tensor) -> Directions:
        """``(n, P)`` vectors by parameter, in its shape."""
        sizes = [self.engine.parameters[name].numel() for name in self.names]
        parts = zip(self.names, vectors.split(sizes, dim=1), strict=True)
        return {name: part.reshape(len(vectors), *self.engine.parameters[name].shape) for name, part in parts}

    def hessian(self, loss: SampleLoss, batches: list[Indices]) -> Callable[[torch.Tensor], torch.Tensor]:
        """The product of the Hessian of a mean loss with a vector of length 1."""
        here = self.flat(self.engine.parameters)
        reach = _STEPS[here.dtype] * max(float(torch.linalg.vector_norm(here)), 1.0)

        def product(vector: torch.Tensor) -> torch.Tensor:
            with movable({name: self.engine.parameters[name] for name in self.names}) as move:
                found = []
                for sign in (1, -1):
                    moved = self.directions((here + sign * reach * vector)[None])
                    move({name: part[0] for name, part in moved.items()})
                    found.append(self.flat(self.engine.mean_gradient(loss, batches)))
            return (found[0] - found[1]) / (2 * reach)

        return product


def _ritz_pairs(
    product: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, n_pairs: int
) -> tuple[NDArray[np.float64], torch.Tensor]:
    """``(k,)`` values and ``(k, P)`` vectors of a symmetric matrix on the Krylov space of a vector."""
    basis = start.new_zeros(n_pairs, len(start))
    products = torch.zeros_like(basis)
    fresh = start
    n_found = 0
    for place in range(min(n_pairs, len(start))):
        basis[place] = fresh / torch.linalg.vector_norm(fresh)
        products[place] = fresh = product(basis[place])
        n_found = place + 1
        for _ in range(2):  # once is not enough in floating point
            fresh = fresh - basis[:n_found].T @ (basis[:n_found] @ fresh)
        scale = float(torch.linalg.vector_norm(products[:n_found], dim=1).max())
        if not float(torch.linalg.vector_norm(fresh)) > _EXHAUSTED * scale:
            break
    projected = (basis[:n_found] @ products[:n_found].T).double()
    if not bool(projected.isfinite().all()):
        raise ModelError("The loss of a reference task is not finite beside the weights; engine='exact' moves none.")
    found, rotation = torch.linalg.eigh((projected + projected.T) / 2)
    values = np.zeros(n_pairs)
    values[:n_found] = found.cpu().numpy()
    basis[:n_found] = rotation.T.to(basis) @ basis[:n_found]
    return values, basis
