"""One step of an optimiser from where it stands, as a function of the gradient: of SGD, Adam and AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hf_select.errors import ConfigError
from hf_select.signals.gradients.factor import wide_dtype
from hf_select.signals.gradients.optimizer_state import Known
from hf_select.signals.gradients.reduction import Directions
from hf_select.signals.gradients.update import AdamUpdate, Moments, Part

_LEAST_ROOT = 0.1  # of a parameter's median: a smaller frozen denominator would let one rare token decide a score


@dataclass(frozen=True)
class AffineUpdate:
    """``U(g) = slope g + rest``: SGD, whatever its momentum and weight decay.

    Attributes:
        slopes: by parameter.
        rests: by parameter, in its shape; ``None`` for 0.
    """

    slopes: Mapping[str, float]
    rests: Mapping[str, torch.Tensor | None]

    def __call__(self, name: str, values: torch.Tensor, part: Part) -> torch.Tensor:
        """The updates of gradients of one parameter.

        Args:
            name: the parameter.
            values: gradients, ``(e, ...)``.
            part: what of a tensor of the parameter's shape lies beside them.

        Returns:
            Updates, of the shape of ``values``.
        """
        update, rest = values * self.slopes[name], self.rests[name]
        return update if rest is None else update + part(rest)


@dataclass(frozen=True)
class Step:
    """``theta' = (1 - rate * decay) theta - rate * U(gradient)``, number by number.

    Attributes:
        update: ``U``.
        rates: learning rate by parameter.
        decays: weight decay by parameter, where it is taken off the weights and not added to the gradient.
    """

    update: AdamUpdate | AffineUpdate
    rates: Mapping[str, float]
    decays: Mapping[str, float]

    @property
    def is_linear(self) -> bool:
        """Whether ``U`` differs from a multiple of the gradient by a constant alone."""
        return isinstance(self.update, AffineUpdate)

    def scaled(self, directions: Directions) -> Directions:
        """Directions times the learning rate.

        Args:
            directions: ``K`` directions.

        Returns:
            Scaled directions.
        """
        return {name: values * self.rates[name] for name, values in directions.items()}

    def linearised(self, directions: Directions) -> Directions:
        """Directions ``rate J D``, with the diagonal ``J`` of ``U(g) ~ U(0) + J g``.

        In Adam ``J`` holds the running mean of squares still, and keeps its root from vanishing.

        Args:
            directions: ``K`` directions ``D``.

        Returns:
            Directions whose products with a gradient are those of ``rate (U(g) - U(0))`` with ``D``.

        Raises:
            ConfigError: if Adam has taken no step yet.
        """
        if isinstance(self.update, AdamUpdate) and not any(known.n_steps for known in self.update.moments.values()):
            raise ConfigError(
                "engine='linear' holds Adam's running mean of squares still, and this optimiser has taken no step yet. "
                "Use engine='exact', or train for some steps first."
            )
        return {name: values * (self.rates[name] * self._slope(name)) for name, values in directions.items()}

    def moved(self, name: str, weights: torch.Tensor, gradient: torch.Tensor | None = None) -> torch.Tensor:
        """Where a parameter goes.

        Args:
            name: the parameter.
            weights: its values.
            gradient: its gradient; 0 by default.

        Returns:
            Its values after the step.
        """
        values = torch.zeros_like(weights) if gradient is None else gradient
        update = self.update(name, values[None], lambda whole: whole.to(values.dtype))[0]
        return weights * (1 - self.rates[name] * self.decays[name]) - self.rates[name] * update

    def _slope(self, name: str) -> torch.Tensor | float:
        if isinstance(self.update, AffineUpdate):
            return self.update.slopes[name]
        _, square, n_steps, (beta1, beta2), eps = self.update.moments[name]
        root = (square * (beta2 / (1 - beta2 ** (n_steps + 1)))).sqrt_()
        seen = root[root > 0]
        if not len(seen):
            return 0.0
        root.clamp_(min=_LEAST_ROOT * float(seen.median()))
        return (1 - beta1) / (1 - beta1 ** (n_steps + 1)) / root.add_(eps)


def make_step(known: Mapping[str, Known], parameters: Mapping[str, nn.Parameter], learning_rate: float | None) -> Step:
    """The step that an optimiser would take.

    Args:
        known: its state by parameter.
        parameters: the parameters as they are.
        learning_rate: of all parameters; ``None`` for what the optimiser is at.

    Returns:
        The step.

    Raises:
        ConfigError: if the learning rate is 0, or the step is of a kind that is not known here.
    """
    settings = {name: at.settings for name, at in known.items()}
    for name, of_group in settings.items():
        _require_known(name, of_group)
    rates = {
        name: float(of_group["lr"]) if learning_rate is None else learning_rate for name, of_group in settings.items()
    }
    if not max(rates.values()) > 0:
        raise ConfigError(
            "The optimiser's learning rate is 0 (the schedule has not begun, or is over), so one step changes nothing. "
            "Give learning_rate=, for example the highest of the schedule."
        )
    if all(at.is_adam for at in known.values()):
        moments = {name: _moments(name, at, parameters[name]) for name, at in known.items()}
        decays = {name: float(of_group["weight_decay"]) for name, of_group in settings.items()}
        return Step(AdamUpdate(moments), rates, decays)
    affine = {name: _affine(at, parameters[name].detach()) for name, at in known.items()}
    update = AffineUpdate(
        {name: slope for name, (slope, _) in affine.items()}, {name: rest for name, (_, rest) in affine.items()}
    )
    return Step(update, rates, dict.fromkeys(known, 0.0))


def _require_known(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse variants of the optimisers that are not followed here."""
    odd = [flag for flag in ("amsgrad", "maximize") if settings.get(flag)]
    if settings.get("weight_decay") and "betas" in settings and not settings.get("decoupled_weight_decay", True):
        odd.append("weight_decay of Adam, which AdamW has in its place")
    if odd:
        raise ConfigError(
            f"The step of an optimiser with {', '.join(odd)} is not known (parameter {name!r}). Train with AdamW or "
            f"SGD without, or use engine='plain', which needs no optimiser."
        )


def _moments(name: str, known: Known, parameter: nn.Parameter) -> Moments:
    """Adam's state of one parameter on its device; zeros before the first step."""
    dtype, settings, state = wide_dtype(parameter.dtype), known.settings, known.state
    betas = (float(settings["betas"][0]), float(settings["betas"][1]))
    if not state:
        fresh = torch.zeros_like(parameter, dtype=dtype, requires_grad=False)
        return Moments(fresh, fresh, 0, betas, float(settings["eps"]))
    mean, square = state.get("exp_avg"), state.get("exp_avg_sq")
    if mean is None or square is None or mean.shape != parameter.shape:
        found = {key: tuple(value.shape) for key, value in state.items() if isinstance(value, torch.Tensor)}
        raise ConfigError(
            f"The optimiser's state of {name!r}, of shape {tuple(parameter.shape)}, is {found}: it is not of Adam, or "
            f"of another parameter. Give the optimiser, or the checkpoint, of this model."
        )
    mean, square = (values.detach().to(parameter.device, dtype) for values in (mean, square))
    return Moments(mean, square, int(state["step"]), betas, float(settings["eps"]))


def _affine(known: Known, weights: torch.Tensor) -> tuple[float, torch.Tensor | None]:
    """Slope and rest of SGD: ``buffer' = m buffer + (1 - dampening)(g + decay theta)``, the first without dampening."""
    wide = wide_dtype(weights.dtype)
    settings, buffer = known.settings, known.state.get("momentum_buffer")
    momentum, decay = float(settings["momentum"]), float(settings["weight_decay"])
    slope = 1.0 if buffer is None or not momentum else 1 - float(settings["dampening"])
    kept = None if buffer is None or not momentum else momentum * buffer.detach().to(weights.device, wide)
    if settings["nesterov"]:
        slope = 1 + momentum * slope
        kept = None if kept is None else momentum * kept
    if decay:
        decayed = slope * decay * weights.to(wide)
        kept = decayed if kept is None else kept + decayed
    return slope, kept
