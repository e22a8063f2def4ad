"""What becomes of the gradients of each row: norms, and inner products with directions, also of an update."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from hf_select.signals.gradients.factor import MAX_BLOCK_BYTES, exact_dtype, sample_runs
from hf_select.signals.gradients.gradient import Block, ParameterGradient
from hf_select.signals.gradients.update import Update

Directions = Mapping[str, torch.Tensor]
"""``K`` directions in the space of the parameters: ``(K, ...)`` for each parameter, in its shape."""

_MAX_LINEAR_DIRECTIONS = 2  # above, forming the gradients once is cheaper than one matrix product per direction


def zero_sums(n_samples: int, width: int, device: torch.device) -> torch.Tensor:
    """Sums to start from, in float64 where the device has it.

    Args:
        n_samples: rows of the batch.
        width: sums of each row.
        device: where they lie.

    Returns:
        ``(n, width)`` zeros.
    """
    return torch.zeros(n_samples, width, dtype=exact_dtype(device), device=device)


@dataclass(frozen=True)
class SquaredNorm:
    """``|G_n|^2``, ``(n, 1)``.

    Attributes:
        restrict: of a matrix, only these rows (dimension 0) or columns (dimension 1).
    """

    restrict: tuple[int, torch.Tensor] | None = None

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        """One sum for each row."""
        return zero_sums(n_samples, 1, device)

    def add(self, gradient: ParameterGradient, out: torch.Tensor) -> None:
        """Add the squared norms of one parameter's gradients.

        Args:
            gradient: the gradients.
            out: ``(n, 1)`` sums.
        """
        if self.restrict is not None:
            gradient = gradient.restricted(*self.restrict)
        factors = gradient.factors
        if factors is not None and gradient.touched is None and factors.is_short:
            out[:, 0] += factors.squared_norms().to(out)
            return
        for block in gradient.blocks():
            squared = torch.linalg.vector_norm(block.values.flatten(1), dim=1).to(out).square()
            out[:, 0].index_add_(0, block.samples.to(out.device), squared)

    def add_absent(self, names: Collection[str], out: torch.Tensor) -> None:
        """Nothing: the norm of 0 is 0."""


@dataclass(frozen=True)
class Dots:
    """``<G_n, D_k>``, ``(n, K)``.

    Attributes:
        directions: the ``K`` directions.
    """

    directions: Directions

    @property
    def n_directions(self) -> int:
        """``K``."""
        return len(next(iter(self.directions.values())))

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        """One sum for each row and direction."""
        return zero_sums(n_samples, self.n_directions, device)

    def add(self, gradient: ParameterGradient, out: torch.Tensor) -> None:
        """Add the inner products of one parameter's gradients.

        Args:
            gradient: the gradients.
            out: ``(n, K)`` sums.
        """
        directions = self.directions[gradient.name]
        if gradient.factors is not None and self.n_directions <= _MAX_LINEAR_DIRECTIONS:
            for place, direction in enumerate(directions):
                out[:, place] += gradient.factors.dots(direction).to(out)
            gradient = gradient.without_factors()
        for block in gradient.blocks():
            out.index_add_(0, block.samples.to(out.device), block.dots(block.values, directions).to(out))

    def add_absent(self, names: Collection[str], out: torch.Tensor) -> None:
        """Nothing: an inner product with 0 is 0."""


@dataclass(frozen=True)
class UpdateDots:
    """``<U(G_n), D_k>`` and ``|U(G_n)|^2`` for an update ``U`` that works number by number, ``(n, K + 1)``.

    ``U(0)`` need not be 0 (Adam's momentum), so rows of an embedding that a sample does not touch, and parameters that
    it does not use, count too; what they yield is the same for all samples and computed once.

    Attributes:
        update: the update.
        directions: the ``K`` directions.
    """

    update: Update
    directions: Directions

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        """One sum for each row and direction, and the squared norm."""
        return zero_sums(n_samples, len(next(iter(self.directions.values()))) + 1, device)

    def add(self, gradient: ParameterGradient, out: torch.Tensor) -> None:
        """Add what one parameter's updates yield.

        Args:
            gradient: the gradients.
            out: ``(n, K + 1)`` sums.
        """
        for block in gradient.blocks():
            sums = self._sums(block, self.update(block.name, block.values, block.part)).to(out)
            if block.is_sparse:
                resting = self.update(block.name, torch.zeros_like(block.values), block.part)
                sums -= self._sums(block, resting).to(out)
            out.index_add_(0, block.samples.to(out.device), sums)
            if block.is_sparse:
                out += self._at_rest[block.name].to(out)

    def add_absent(self, names: Collection[str], out: torch.Tensor) -> None:
        """Add what the update of a zero gradient yields.

        Args:
            names: the parameters.
            out: ``(n, K + 1)`` sums.
        """
        for name in names:
            out += self._at_rest[name].to(out)

    def _sums(self, block: Block, updates: torch.Tensor) -> torch.Tensor:
        dots = block.dots(updates, self.directions[block.name])
        dtype = exact_dtype(updates.device)
        squared = torch.linalg.vector_norm(updates.flatten(1), dim=1).to(dtype).square()
        return torch.cat([dots.to(dtype), squared[:, None]], dim=1)

    @cached_property
    def _at_rest(self) -> dict[str, torch.Tensor]:
        """``(K + 1,)`` of each parameter with a zero gradient."""
        return {name: self._sums_at_rest(name, directions) for name, directions in self.directions.items()}

    def _sums_at_rest(self, name: str, directions: torch.Tensor) -> torch.Tensor:
        """``(K + 1,)`` of one parameter with a zero gradient, some rows at a time."""
        first = torch.zeros(1, dtype=torch.int64, device=directions.device)
        total = zero_sums(1, len(directions) + 1, directions.device)[0]
        for rows in sample_runs(directions.shape[1], directions[0, 0].nbytes, MAX_BLOCK_BYTES):
            block = Block(name, torch.zeros_like(directions[:1, rows]), first, rows)
            total += self._sums(block, self.update(name, block.values, block.part))[0]
        return total
