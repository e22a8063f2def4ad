"""The gradient engine: one forward and one backward pass of activations give every row's gradient, already reduced.

rows -> loss of each row -> backward of their sum -> per layer (input, output gradient) -> reductions -> (n, width)

Rows of a batch do not mix, so the gradient of the sum at a layer's output holds each row's own gradient; the gradient
of a parameter for each row is formed from it a block at a time, handed to the reductions, and freed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hf_select.errors import ModelError
from hf_select.signals.gradients.capture import Capture
from hf_select.signals.gradients.coverage import Comparison, Coverage, merged
from hf_select.signals.gradients.factor import wide_dtype
from hf_select.signals.gradients.gradient import ParameterGradient
from hf_select.signals.gradients.loss import SampleLoss
from hf_select.signals.gradients.parameter import scored_parameters
from hf_select.signals.gradients.reduction import SquaredNorm
from hf_select.signals.keys import Indices
from hf_select.signals.layout import Layout
from hf_select.signals.reader import inner_model

CLIP_EPSILON = 1e-6
"""Of ``torch.nn.utils.clip_grad_norm_``."""


class Reduction(Protocol):
    """What becomes of the gradients of each row: numbers that add up over the parameters."""

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        """``(n, width)`` sums to start from."""

    def add(self, gradient: ParameterGradient, out: torch.Tensor) -> None:
        """Add what one parameter yields to ``out``."""

    def add_absent(self, names: Collection[str], out: torch.Tensor) -> None:
        """Add what parameters yield that no row of the batch uses: their gradient is 0."""


class Reading(NamedTuple):
    """What was read of a batch.

    Attributes:
        losses: ``(n,)`` loss of each row.
        sums: ``(n, width)`` of each reduction.
    """

    losses: NDArray[np.float64]
    sums: list[NDArray[Any]]


@dataclass(frozen=True)
class GradientEngine:
    """A model with hooks, ready to be read.

    Attributes:
        loss: a loss of the model; other rows' losses of the same model can be read too.
        parameters: the parameters whose gradients are read, by name.
        capture: the hooks.
    """

    loss: SampleLoss
    parameters: dict[str, nn.Parameter]
    capture: Capture

    @cached_property
    def coverage(self) -> Coverage:
        """Which parameters the hooks reproduce, measured on two short rows in one batch.

        Returns:
            The coverage.

        Raises:
            ModelError: if it is below 90 %.
        """
        probe, rows = self.loss.probe(), np.arange(2)
        comparisons = []
        for row in rows.tolist():
            comparison = Comparison(self.plain_gradient(probe, row), row)
            self._run(probe, rows, [comparison], frozenset(self.parameters), None)
            comparison.errors.update(dict.fromkeys(self.capture.strays, math.inf))
            comparisons.append(comparison)
        coverage = merged(comparisons, self.sizes, self.dtype)
        coverage.require_enough(f"gradient of {type(self.loss.model).__name__}")
        return coverage

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers in each parameter."""
        return {name: parameter.numel() for name, parameter in self.parameters.items()}

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the parameters."""
        return next(iter(self.parameters.values())).dtype

    def read(
        self, loss: SampleLoss, rows: Indices, reductions: Sequence[Reduction], *, max_norm: float | None = None
    ) -> Reading:
        """Read a batch.

        Args:
            loss: the loss of each row.
            rows: ``(n,)`` row ids, none of length 0.
            reductions: what becomes of the gradients.
            max_norm: scale a row's gradient down to this norm, as the trainer's clipping does; ``None`` for no
                clipping. All factors of the batch are held until its norms are known.

        Returns:
            Losses, and the sums of each reduction.
        """
        losses, sums = self._run(loss, rows, reductions, self.coverage.names, max_norm)
        return Reading(losses.double().cpu().numpy(), [total.cpu().numpy() for total in sums])

    def losses(self, loss: SampleLoss, rows: Indices) -> NDArray[np.float64]:
        """Read the losses of a batch alone, without a backward pass.

        Args:
            loss: the loss of each row.
            rows: ``(n,)`` row ids, none of length 0.

        Returns:
            ``(n,)``.
        """
        with torch.no_grad():
            return loss.batch(rows).losses().double().cpu().numpy()

    def plain_gradient(self, loss: SampleLoss, row: int) -> dict[str, torch.Tensor]:
        """The gradient of one row's loss by autograd.

        Args:
            loss: the loss of each row.
            row: the row id.

        Returns:
            The gradient of each parameter in the wide dtype; parameters that are not used are left out.
        """
        return self._gradient(loss, np.asarray([row]))

    def mean_gradient(self, loss: SampleLoss, batches: Sequence[Indices]) -> dict[str, torch.Tensor]:
        """The gradient of the mean loss of many rows by autograd.

        Args:
            loss: the loss of each row.
            batches: row ids, none of length 0.

        Returns:
            As ``plain_gradient``.
        """
        n_rows = sum(map(len, batches))
        total: dict[str, torch.Tensor] = {}
        for rows in batches:
            for name, part in self._gradient(loss, rows).items():
                total[name] = total[name].add_(part, alpha=1 / n_rows) if name in total else part / n_rows
        return total

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _gradient(self, loss: SampleLoss, rows: Indices) -> dict[str, torch.Tensor]:
        """The gradient of the sum of some rows' losses."""
        parameters = list(self.parameters.values())
        try:
            for parameter in parameters:
                parameter.requires_grad_(True)
            total = loss.batch(rows).losses().sum()
            self._require_part(total)
            gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        finally:
            for parameter in parameters:
                parameter.requires_grad_(False)
        found = zip(self.parameters, gradients, strict=True)
        return {name: gradient.to(wide_dtype(gradient.dtype)) for name, gradient in found if gradient is not None}

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _run(
        self, loss: SampleLoss, rows: Indices, reductions: Sequence[Reduction], names: Collection[str],
        max_norm: float | None,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:  # fmt: skip
        """One pass over a batch, of the parameters of these names."""
        batch = loss.batch(rows)
        device = next(iter(self.parameters.values())).device
        sums = [reduction.zeros(len(rows), device) for reduction in reductions]
        held: list[ParameterGradient] = []
        read: set[str] = set()

        def reduce(gradient: ParameterGradient) -> None:
            for reduction, total in zip(reductions, sums, strict=True):
                reduction.add(gradient, total)

        def take(gradient: ParameterGradient) -> None:
            if gradient.name not in names:
                return
            read.add(gradient.name)
            if max_norm is None:
                reduce(gradient)
            else:
                held.append(gradient)

        with self.capture.reading(batch.shape, take):
            losses = batch.losses()
            self._require_part(losses)
            losses.sum().backward()
        self._require_told_apart(names)
        if max_norm is not None:
            scales = _clip_scales(held, max_norm, len(rows), device)
            for gradient in held:
                reduce(gradient.scaled(scales))
        for reduction, total in zip(reductions, sums, strict=True):
            reduction.add_absent(frozenset(names) - read, total)
        return losses.detach(), sums

    def _require_part(self, losses: torch.Tensor) -> None:
        """Refuse parameters that the loss does not depend on."""
        if not losses.requires_grad:
            raise ModelError(
                f"None of the parameters that are scored takes part in the loss: {list(self.parameters)[:5]}."
            )

    def _require_told_apart(self, names: Collection[str]) -> None:
        """Refuse a layer that was covered on the probe and not on this batch."""
        strays = self.capture.strays & set(names)
        if strays and "coverage" in self.__dict__:
            raise ModelError(
                f"The layers of {sorted(strays)[:3]} saw tokens that cannot be told apart by row. Give a model with a "
                f"LoRA adapter on other layers."
            )


@contextmanager
def gradient_engine(loss: SampleLoss, pattern: str | None = None) -> Iterator[GradientEngine]:
    """Prepare a model for reading gradients and give it back as it was.

    Inside, the model is in evaluation mode (so gradient checkpointing is off), no parameter requires a gradient, and
    ``config.use_cache`` is False. Nothing is added to the parameters' ``grad``.

    Args:
        loss: a loss of the model.
        pattern: which parameters, as in ``scored_parameters``.

    Yields:
        GradientEngine: the engine.
    """
    from hf_select.training.attention import packed_attention, plain_attention

    model = loss.model
    parameters = scored_parameters(model, pattern)
    config: Any = inner_model(model).config
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    use_cache = getattr(config, "use_cache", None)
    capture = Capture(model, parameters)
    try:
        model.eval()
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        with plain_attention(model), ExitStack() as stack:
            if loss.layout is Layout.PACKED:
                stack.enter_context(packed_attention(model))
            if use_cache is not None:
                config.use_cache = False
            yield GradientEngine(loss, parameters, capture)
    finally:
        capture.close()
        if use_cache is not None:
            config.use_cache = use_cache
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        for module, training in modes:
            module.training = training


def _clip_scales(
    gradients: Sequence[ParameterGradient], max_norm: float, n_samples: int, device: torch.device
) -> torch.Tensor:
    """``min(1, max_norm / (|g_n| + 1e-6))``, the factor of ``clip_grad_norm_`` for each row alone."""
    reduction = SquaredNorm()
    squared = reduction.zeros(n_samples, device)
    for gradient in gradients:
        reduction.add(gradient, squared)
    return (max_norm / (squared[:, 0].sqrt() + CLIP_EPSILON)).clamp_(max=1)
