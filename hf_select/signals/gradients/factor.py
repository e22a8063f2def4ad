"""Per-sample gradients as backward yields them: products of a matrix, touched rows of an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

MAX_BLOCK_BYTES = 64 * 2**20
"""Bytes of per-sample gradients that exist at once."""


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which gradients are formed and added up: float32, or float64 for a float64 model.

    Args:
        dtype: dtype of the model.

    Returns:
        The wider dtype.
    """
    return torch.promote_types(dtype, torch.float32)


def sample_runs(n_samples: int, bytes_per_sample: int, max_bytes: int) -> Iterator[slice]:
    """Runs of samples that take at most so many bytes together, or of one sample.

    Args:
        n_samples: how many there are.
        bytes_per_sample: bytes that each takes.
        max_bytes: bytes that a run may take.

    Yields:
        slice: consecutive samples.
    """
    at_once = max(1, max_bytes // max(1, bytes_per_sample))
    for first in range(0, n_samples, at_once):
        yield slice(first, min(first + at_once, n_samples))


def exact_dtype(device: torch.device) -> torch.dtype:
    """The dtype in which numbers of a row are added up over the parameters: float64 where the device has it.

    Args:
        device: where they lie.

    Returns:
        float64, or float32 on Apple's GPUs.
    """
    return torch.float32 if device.type == "mps" else torch.float64


def squared_norm(values: torch.Tensor) -> float:
    """Sum of squares, added up exactly.

    Args:
        values: any tensor.

    Returns:
        The sum.
    """
    return float(torch.linalg.vector_norm(values, dtype=exact_dtype(values.device))) ** 2


@dataclass(frozen=True)
class Factors:
    """Per-sample gradients of a matrix, as products ``G_n = left_n' right_n``.

    Attributes:
        left: ``(n, T, R)``.
        right: ``(n, T, C)``.
    """

    left: torch.Tensor
    right: torch.Tensor

    def matrices(self, samples: slice, rows: slice) -> torch.Tensor:
        """Part of the gradients themselves.

        Args:
            samples: which samples.
            rows: which rows of the matrix.

        Returns:
            ``(samples, rows, C)`` in the wide dtype.
        """
        dtype = wide_dtype(self.left.dtype)
        return torch.bmm(self.left[samples, :, rows].to(dtype).mT, self.right[samples].to(dtype))

    def dots(self, direction: torch.Tensor) -> torch.Tensor:
        """``<G_n, D> = sum_t left_nt . (D right_nt)``, without forming ``G_n``.

        Args:
            direction: ``D``, ``(R, C)``.

        Returns:
            ``(n,)``.
        """
        dtype, sums = direction.dtype, []
        for part in self._parts(self.left.shape[1] * self.left.shape[2] * dtype.itemsize):
            products = (self.right[part].to(dtype) @ direction.mT).mul_(self.left[part].to(dtype))
            sums.append(products.sum((1, 2)))
        return torch.cat(sums)

    def squared_norms(self) -> torch.Tensor:
        """``|G_n|^2 = sum_st (left_ns . left_nt) (right_ns . right_nt)``, without forming ``G_n``.

        Returns:
            ``(n,)``.
        """
        dtype, sums = wide_dtype(self.left.dtype), []
        for part in self._parts(self.left.shape[1] * max(self.left.shape[1:]) * dtype.itemsize):
            left, right = self.left[part].to(dtype), self.right[part].to(dtype)
            products = torch.bmm(left, left.mT).mul_(torch.bmm(right, right.mT))
            sums.append(products.sum((1, 2)).clamp_(min=0))
        return torch.cat(sums)

    @property
    def is_short(self) -> bool:
        """Whether products of positions are cheaper than the matrix: ``2 T^2 < R C``."""
        return 2 * self.left.shape[1] ** 2 < self.left.shape[2] * self.right.shape[2]

    def _parts(self, bytes_per_sample: int) -> Iterator[slice]:
        """Runs of samples whose intermediate results stay within the bytes of a block."""
        return sample_runs(len(self.left), bytes_per_sample, MAX_BLOCK_BYTES)


@dataclass(frozen=True)
class TouchedRows:
    """Per-sample gradients of an embedding: the rows of the tokens that occur.

    Attributes:
        samples: ``(E,)`` sample of each entry.
        rows: ``(E,)`` row of the embedding; a pair of sample and row occurs once.
        values: ``(E, C)``.
    """

    samples: torch.Tensor
    rows: torch.Tensor
    values: torch.Tensor


def add_rows(samples: torch.Tensor, rows: torch.Tensor, values: torch.Tensor, *, n_rows: int) -> TouchedRows:
    """Add up the entries of each pair of sample and row.

    Args:
        samples: ``(E,)`` sample of each entry.
        rows: ``(E,)`` row of each entry.
        values: ``(E, C)``.
        n_rows: rows of the embedding.

    Returns:
        One entry per pair, ordered by sample and row.
    """
    pairs, place = torch.unique(samples * n_rows + rows, return_inverse=True)
    summed = values.new_zeros(len(pairs), values.shape[1]).index_add_(0, place, values)
    return TouchedRows(pairs // n_rows, pairs % n_rows, summed)
