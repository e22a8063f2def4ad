"""The gradient of one parameter for every sample of a batch, in the form in which backward yields it.

matrix       G_n = left_n' right_n     factors; the matrix itself is formed a block at a time
embedding    rows of the tokens that occur, all other rows are 0
vector       as it is
A tied weight is the sum of a matrix and an embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from hf_select.signals.gradients.factor import MAX_BLOCK_BYTES, Factors, TouchedRows, add_rows, sample_runs, wide_dtype


@dataclass(frozen=True)
class Block:
    """Part of the per-sample gradients of one parameter.

    Attributes:
        name: the parameter.
        values: ``(e, ...)`` one entry per sample, or ``(e, C)`` one entry per touched row.
        samples: ``(e,)`` sample of each entry.
        rows: rows of the parameter that the entries cover: a range for all of them, or ``(e,)``, one of each.
    """

    name: str
    values: torch.Tensor
    samples: torch.Tensor
    rows: slice | torch.Tensor

    @property
    def is_sparse(self) -> bool:
        """Whether an entry is one touched row, and all rows of the parameter without an entry are 0."""
        return isinstance(self.rows, torch.Tensor)

    def part(self, whole: torch.Tensor) -> torch.Tensor:
        """What of a tensor of the parameter's shape lies beside the values, ready to be broadcast to them.

        Args:
            whole: a tensor of the parameter's shape.

        Returns:
            Its rows.
        """
        return whole[self.rows].to(self.values.dtype)

    def dots(self, values: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        """Inner products of each entry with directions.

        Args:
            values: of the shape of ``values``.
            directions: ``(K, ...)``, each of the parameter's shape.

        Returns:
            ``(e, K)``.
        """
        beside = directions[:, self.rows].to(values.dtype)
        if self.is_sparse:
            return torch.einsum("ec,kec->ek", values, beside)
        return values.flatten(1) @ beside.flatten(1).T


@dataclass(frozen=True)
class ParameterGradient:
    """The gradients of one parameter for ``n`` samples: the sum of what is there.

    Attributes:
        name: the parameter.
        shape: its shape.
        n_samples: ``n``.
        factors: the part of a matrix.
        touched: the part of an embedding.
        vector: ``(n, R)``, of a vector.
    """

    name: str
    shape: tuple[int, ...]
    n_samples: int
    factors: Factors | None = None
    touched: TouchedRows | None = None
    vector: torch.Tensor | None = None

    def plus(self, other: ParameterGradient) -> ParameterGradient:
        """The sum with what another use of the same parameter yields.

        Args:
            other: gradients of the same parameter and samples.

        Returns:
            The sum.
        """
        factors, touched, vector = self.factors, self.touched, self.vector
        if factors is not None and other.factors is not None:
            left = torch.cat([factors.left, other.factors.left], dim=1)
            factors = Factors(left, torch.cat([factors.right, other.factors.right], dim=1))
        if touched is not None and other.touched is not None:
            touched = add_rows(
                torch.cat([touched.samples, other.touched.samples]),
                torch.cat([touched.rows, other.touched.rows]),
                torch.cat([touched.values, other.touched.values]),
                n_rows=self.shape[0],
            )
        if vector is not None and other.vector is not None:
            vector = vector + other.vector
        return replace(
            self, factors=factors or other.factors, touched=touched or other.touched,
            vector=other.vector if vector is None else vector,
        )  # fmt: skip

    def scaled(self, scales: torch.Tensor) -> ParameterGradient:
        """The gradients times a number of each sample.

        Args:
            scales: ``(n,)``.

        Returns:
            The scaled gradients.
        """
        factors, touched, vector = self.factors, self.touched, self.vector
        if factors is not None:
            left = factors.left.to(wide_dtype(factors.left.dtype))
            factors = replace(factors, left=left * scales.to(left)[:, None, None])
        if touched is not None:
            touched = replace(touched, values=touched.values * scales.to(touched.values)[touched.samples, None])
        if vector is not None:
            vector = vector * scales.to(vector)[:, None]
        return replace(self, factors=factors, touched=touched, vector=vector)

    def restricted(self, dimension: int, index: torch.Tensor) -> ParameterGradient:
        """The gradients of some rows or columns of a matrix.

        Args:
            dimension: 0 for rows, 1 for columns.
            index: which of them.

        Returns:
            Gradients of the smaller matrix.
        """
        assert self.factors is not None
        left, right = self.factors.left, self.factors.right
        index = index.to(left.device)
        factors = Factors(left[..., index], right) if dimension == 0 else Factors(left, right[..., index])
        return replace(self, shape=(factors.left.shape[2], factors.right.shape[2]), factors=factors)

    def without_factors(self) -> ParameterGradient:
        """What is there besides the part of a matrix."""
        return replace(self, factors=None)

    def blocks(self, max_bytes: int = MAX_BLOCK_BYTES) -> Iterator[Block]:
        """The gradients themselves, part by part; the sum over all blocks is the gradient.

        Args:
            max_bytes: bytes of one block; a single row of a single sample may be more.

        Yields:
            Block: dense parts of samples and rows, or the touched rows of an embedding.
        """
        if self.vector is not None:
            yield Block(self.name, self.vector, self._samples(slice(None), self.vector.device), slice(None))
        if self.factors is not None:
            yield from self._matrix_blocks(self.factors, max_bytes)
        elif self.touched is not None:
            yield Block(self.name, self.touched.values, self.touched.samples, self.touched.rows)

    def _matrix_blocks(self, factors: Factors, max_bytes: int) -> Iterator[Block]:
        n_rows, n_columns = self.shape
        row_bytes = n_columns * wide_dtype(factors.left.dtype).itemsize
        rows_at_once = max(1, min(n_rows, max_bytes // row_bytes))
        for samples in sample_runs(self.n_samples, row_bytes * n_rows, max_bytes):
            for top in range(0, n_rows, rows_at_once):
                rows = slice(top, min(top + rows_at_once, n_rows))
                matrices = factors.matrices(samples, rows)
                if self.touched is not None:
                    _add_touched(matrices, self.touched, samples, rows)
                yield Block(self.name, matrices, self._samples(samples, matrices.device), rows)

    def _samples(self, samples: slice, device: torch.device) -> torch.Tensor:
        return torch.arange(self.n_samples, device=device)[samples]


def _add_touched(matrices: torch.Tensor, touched: TouchedRows, samples: slice, rows: slice) -> None:
    """Add touched rows to the part of the matrices that a block covers."""
    inside = (touched.samples >= samples.start) & (touched.samples < samples.stop)
    inside &= (touched.rows >= rows.start) & (touched.rows < rows.stop)
    where = (touched.samples[inside] - samples.start, touched.rows[inside] - rows.start)
    matrices.index_put_(where, touched.values[inside].to(matrices.dtype), accumulate=True)
