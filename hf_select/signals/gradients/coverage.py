"""How much of the gradient the hooks reproduce, measured on the model itself, because only that is proof."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from hf_select.errors import ModelError
from hf_select.signals.gradients.factor import exact_dtype, squared_norm
from hf_select.signals.gradients.gradient import ParameterGradient

logger = logging.getLogger("hf_select")

_WARN_BELOW, _REFUSE_BELOW = 0.99, 0.90
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}  # of the norm; 0.1 in half precision
_FLOOR = 1e-2  # times the tolerance and the norm of the whole gradient: what is smaller is rounding


@dataclass(frozen=True)
class Coverage:
    """Which parameters are covered by the hooks.

    Attributes:
        names: parameters whose per-sample gradients the hooks reproduce.
        missing: the other parameters that were asked for.
        parameter_fraction: share of the numbers in the parameters that is covered, 0..1.
        gradient_fraction: share of the squared norm of a gradient that is covered, 0..1.
    """

    names: frozenset[str]
    missing: tuple[str, ...]
    parameter_fraction: float
    gradient_fraction: float

    def require_enough(self, what: str = "gradient") -> None:
        """Warn below 99 % and refuse below 90 %.

        Args:
            what: whose gradient it is, for the message.

        Raises:
            ModelError: if less than 90 % is covered.
        """
        least = min(self.parameter_fraction, self.gradient_fraction)
        if least >= _WARN_BELOW:
            return
        said = (
            f"The hooks reproduce {self.parameter_fraction:.1%} of the parameters and {self.gradient_fraction:.1%} of "
            f"the squared norm of the {what}; missing: {', '.join(self.missing[:5])}"
            f"{', ...' if len(self.missing) > 5 else ''}."
        )
        if least < _REFUSE_BELOW:
            raise ModelError(
                f"{said} At least {_REFUSE_BELOW:.0%} is needed for a score of the whole model. Give a model with a "
                f"LoRA adapter on its linear layers: only the adapter is scored then."
            )
        logger.warning("%s The rest is left out of the scores.", said)


def coverage_of(names: Collection[str], sizes: Mapping[str, int], squared_norms: Mapping[str, float]) -> Coverage:
    """How much some parameters are of all.

    Args:
        names: the parameters that are covered.
        sizes: numbers in each parameter that was asked for.
        squared_norms: squared norm of the gradient of each of them; 0 where it is left out.

    Returns:
        The coverage.
    """
    largest_first = sorted(sizes, key=lambda name: -sizes[name])
    n_numbers, norm = sum(sizes.values()), sum(squared_norms.values())
    return Coverage(
        frozenset(names),
        tuple(name for name in largest_first if name not in names),
        sum(sizes[name] for name in names) / n_numbers,
        sum(squared_norms.get(name, 0.0) for name in names) / norm if norm else 1.0,
    )


@dataclass
class Comparison:
    """Compares the hooks' gradients of one sample with those of autograd.

    Attributes:
        truth: autograd's gradient of each parameter; a parameter that is not used is left out.
        sample: which sample of the batch it is of.
        errors: squared norm of the difference, by parameter.
    """

    truth: Mapping[str, torch.Tensor]
    sample: int
    errors: dict[str, float] = field(default_factory=dict)

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        """Nothing is added up."""
        return torch.empty(n_samples, 0, device=device)

    def add(self, gradient: ParameterGradient, out: torch.Tensor) -> None:  # noqa: ARG002
        """Compare one parameter.

        Args:
            gradient: its gradients.
            out: not used.
        """
        true = self.truth.get(gradient.name)
        error = 0.0 if true is None else squared_norm(true)
        for block in gradient.blocks():
            is_mine = block.samples == self.sample
            found = block.values[is_mine].to(exact_dtype(block.values.device))
            if true is not None:
                beside = true[block.rows[is_mine]] if isinstance(block.rows, torch.Tensor) else true[block.rows]
                error -= squared_norm(beside.expand(found.shape))
                found = found - beside.to(found)
            error += squared_norm(found)
        self.errors[gradient.name] = error

    def add_absent(self, names: Collection[str], out: torch.Tensor) -> None:  # noqa: ARG002
        """A parameter without a gradient is as far off as autograd's gradient is long.

        Args:
            names: the parameters.
            out: not used.
        """
        for name in names:
            self.errors[name] = squared_norm(self.truth[name]) if name in self.truth else 0.0

    def reproduced(self, dtype: torch.dtype) -> frozenset[str]:
        """The parameters whose gradients agree.

        Args:
            dtype: dtype of the model.

        Returns:
            Their names.
        """
        tolerance = _TOLERANCE.get(dtype, 0.1)
        norms = self.squared_norms()
        floor = _FLOOR * math.sqrt(sum(norms.values()))
        return frozenset(
            name
            for name, error in self.errors.items()
            if math.sqrt(max(error, 0.0)) <= tolerance * max(math.sqrt(norms.get(name, 0.0)), floor)
        )

    def squared_norms(self) -> dict[str, float]:
        """Squared norm of autograd's gradient, by parameter."""
        return {name: squared_norm(gradient) for name, gradient in self.truth.items()}


def merged(comparisons: Iterable[Comparison], sizes: Mapping[str, int], dtype: torch.dtype) -> Coverage:
    """The coverage over several samples: a parameter must agree for all of them.

    Args:
        comparisons: one per sample.
        sizes: numbers in each parameter that was asked for.
        dtype: dtype of the model.

    Returns:
        The coverage.

    Raises:
        ModelError: if a gradient is not finite.
    """
    names, norms = frozenset(sizes), dict.fromkeys(sizes, 0.0)
    for comparison in comparisons:
        names &= comparison.reproduced(dtype)
        for name, norm in comparison.squared_norms().items():
            norms[name] += norm
    if not math.isfinite(sum(norms.values())):
        raise ModelError(
            f"The gradient of a short row is not finite: the weights hold NaN or infinity, or overflow in {dtype}. "
            f"Check them, or load the model in float32 or bfloat16."
        )
    return coverage_of(names, sizes, norms)
