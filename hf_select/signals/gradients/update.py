"""What an optimiser makes of a gradient, number by number: Adam's update, and LESS's Gamma."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch

Part = Callable[[torch.Tensor], torch.Tensor]
"""What of a tensor of the parameter's shape lies beside the values."""


class Update(Protocol):
    """An update that works number by number."""

    def __call__(self, name: str, values: torch.Tensor, part: Part) -> torch.Tensor:
        """The updates of gradients of one parameter, or of a part of it."""


class Moments(NamedTuple):
    """What Adam knows of one parameter.

    Attributes:
        mean: running mean of the gradient, in the parameter's shape.
        square: running mean of its square.
        n_steps: steps that were taken.
        betas: decay of the two means.
        eps: the small number in the denominator.
    """

    mean: torch.Tensor
    square: torch.Tensor
    n_steps: int
    betas: tuple[float, float]
    eps: float


@dataclass(frozen=True)
class AdamUpdate:
    """The update that a row alone would cause in Adam, without learning rate and weight decay.

    ``m' = b1 m + (1 - b1) g``, ``v' = b2 v + (1 - b2) g^2``, and with ``t`` = steps taken + 1

    ``u = (m' / (1 - b1^t)) / (sqrt(v' / (1 - b2^t)) + eps)``

    Attributes:
        moments: the optimiser's state by parameter.
        eps: ``"outside"`` of the root as in Adam, or ``"inside"`` as in the published code of LESS.
        bias_correction: divide by ``1 - b^t`` as Adam does; LESS does not.

    Source:
        Kingma & Ba 2015, algorithm 1; Xia et al. 2024 (LESS), ``collect_grad_reps.py``.
    """

    moments: Mapping[str, Moments]
    eps: Literal["inside", "outside"] = "outside"
    bias_correction: bool = True

    def __call__(self, name: str, values: torch.Tensor, part: Part) -> torch.Tensor:
        """The updates of gradients of one parameter.

        Args:
            name: the parameter.
            values: gradients, ``(e, ...)``.
            part: what of a tensor of the parameter's shape lies beside them.

        Returns:
            Updates, of the shape of ``values``.
        """
        mean, square, n_steps, (beta1, beta2), eps = self.moments[name]
        corrections = (1 - beta1 ** (n_steps + 1), 1 - beta2 ** (n_steps + 1)) if self.bias_correction else (1.0, 1.0)
        numerator = (part(mean) * (beta1 / corrections[0])).add(values, alpha=(1 - beta1) / corrections[0])
        squares = values.square().mul_((1 - beta2) / corrections[1]).add_(part(square), alpha=beta2 / corrections[1])
        if self.eps == "inside":
            return numerator.div_(squares.add_(eps).sqrt_())
        return numerator.div_(squares.sqrt_().add_(eps))
