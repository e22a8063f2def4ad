"""Sparse random projection of per-sample gradients: many numbers to few, inner products kept, no matrix in memory.

Each number goes, with a random sign, to one place in each of ``s`` copies of ``d / s`` places. Within a copy the
numbers of a parameter are cut into runs of ``d / s``; a run is rotated by a random distance and added:

    numbers   + - - + | - + + + | - -          signs: one bit for each number and copy
    copy      [a b c d] + [g h e f] + [. i j .]      rotated by 0, 2, 1 and added up

Two numbers of different runs meet with probability ``s / d``, two of one run never; signs are independent. So inner
products are unbiased with variance at most ``(|x|^2 |y|^2 + <x, y>^2) / d``, as with a dense matrix of signs, and a
number costs ``s`` additions instead of ``d``. Adding whole runs is what memory does fastest, and its order is the same
on every device.

Source: Kane & Nelson 2014, block construction of the sparse Johnson-Lindenstrauss transform; rotated runs are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hf_select.errors import ConfigError
from hf_select.signals.gradients.gradient import Block, ParameterGradient

_MAX_COPIES = 8  # signs of a number are the bits of one byte


class _Hash(NamedTuple):
    """Where the numbers of one parameter go.

    Attributes:
        bits: ``(p,)`` a random byte for each number, whose bits are its signs.
        shifts: ``(s, runs)`` how far each run is rotated in each copy.
    """

    bits: torch.Tensor
    shifts: NDArray[np.int64]


@dataclass(frozen=True)
class SparseProjection:
    """Projected gradients, ``(n, d)``.

    Attributes:
        n_dimensions: ``d``, a multiple of ``n_copies``.
        n_copies: ``s``, how many places a number goes to, 1 to 8.
        seed: another seed is another projection.
    """

    n_dimensions: int = 8192
    n_copies: int = 4
    seed: int = 0
    _hashes: dict[str, _Hash] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ConfigError: if one cannot be used.
        """
        if not 1 <= self.n_copies <= _MAX_COPIES:
            raise ConfigError(f"n_copies={self.n_copies} must be from 1 to {_MAX_COPIES}.")
        if self.n_dimensions < 1 or self.n_dimensions % self.n_copies:
            raise ConfigError(
                f"n_dimensions={self.n_dimensions} must be a positive multiple of n_copies={self.n_copies}."
            )

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        """One projected gradient for each row, float32."""
        return torch.zeros(n_samples, self.n_dimensions, device=device)

    def add(self, gradient: ParameterGradient, out: torch.Tensor) -> None:
        """Add the projections of one parameter's gradients.

        Args:
            gradient: the gradients.
            out: ``(n, d)`` sums.
        """
        for block in gradient.blocks():
            if block.is_sparse:
                self._add_touched(block, gradient.shape, out)
                continue
            assert isinstance(block.rows, slice)
            first = (block.rows.start or 0) * prod(gradient.shape[1:])
            samples = slice(int(block.samples[0]), int(block.samples[-1]) + 1)
            values = block.values.flatten(1).to(out)
            self.add_numbers(block.name, values, out[samples], first=first, n_numbers=prod(gradient.shape))

    def add_absent(self, names: Collection[str], out: torch.Tensor) -> None:
        """Nothing: the projection of 0 is 0."""

    def add_numbers(
        self, name: str, values: torch.Tensor, out: torch.Tensor, *, first: int = 0, n_numbers: int | None = None
    ) -> None:
        """Add the projections of consecutive numbers of one parameter.

        Args:
            name: the parameter; where its numbers go depends on nothing else but the seed.
            values: ``(n, p)`` float32, numbers ``first`` to ``first + p`` of the flattened parameter.
            out: ``(n, d)`` float32 sums.
            first: place of the first number in the parameter.
            n_numbers: numbers of the whole parameter; ``first + p`` by default.
        """
        width, last = self.n_dimensions // self.n_copies, first + values.shape[1]
        hashed = self._hash(name, n_numbers or last, values.device)
        for copy in range(self.n_copies):
            signs = self._scaled_signs(hashed.bits[first:last], copy)
            into = out[:, copy * width : (copy + 1) * width]
            for run in range(first // width, -(-last // width)):
                for start, end, place in _pieces(run * width, first, last, int(hashed.shifts[copy, run]), width):
                    part = slice(start - first, end - first)
                    into[:, place : place + end - start].addcmul_(values[:, part], signs[part])

    def _add_touched(self, block: Block, shape: tuple[int, ...], out: torch.Tensor) -> None:
        """Each touched row of an embedding lies in runs of its own."""
        assert isinstance(block.rows, torch.Tensor)
        width, values = self.n_dimensions // self.n_copies, block.values.to(out)
        hashed = self._hash(block.name, prod(shape), values.device)
        numbers = block.rows[:, None] * shape[1] + torch.arange(shape[1], device=values.device)
        for copy in range(self.n_copies):
            shifts = torch.from_numpy(hashed.shifts[copy]).to(values.device)
            places = (numbers + shifts[numbers // width]) % width + copy * width
            flat = block.samples[:, None] * self.n_dimensions + places
            signed = values * self._scaled_signs(hashed.bits[numbers], copy)
            out.view(-1).index_add_(0, flat.flatten(), signed.flatten())

    def _scaled_signs(self, bits: torch.Tensor, copy: int) -> torch.Tensor:
        """``+-1 / sqrt(s)`` from one bit of each byte."""
        scale = self.n_copies**-0.5
        return ((bits >> copy) & 1).to(torch.float32).mul_(-2 * scale).add_(scale)

    def _hash(self, name: str, n_numbers: int, device: torch.device) -> _Hash:
        """Signs and shifts of a parameter, kept for the next batch: a byte for each of its numbers."""
        if name not in self._hashes or len(self._hashes[name].bits) < n_numbers:
            width = self.n_dimensions // self.n_copies
            words = self._bits(name, "signs").random_raw(-(-n_numbers // 8))
            bits = torch.from_numpy(words.astype("<u8").view(np.uint8).copy()).to(device)
            n_runs = -(-n_numbers // width)
            shifts = [self._bits(name, f"copy {copy}").random_raw(n_runs) for copy in range(self.n_copies)]
            self._hashes[name] = _Hash(bits, (np.asarray(shifts) % np.uint64(width)).astype(np.int64))
        return self._hashes[name]

    def _bits(self, name: str, purpose: str) -> np.random.Philox:
        """Raw bits that depend on the names and the seed alone, the same in every process and release."""
        digest = hashlib.blake2b(f"{self.seed} {purpose} {name}".encode(), digest_size=16).digest()
        return np.random.Philox(key=int.from_bytes(digest, "little"))


def _pieces(start_of_run: int, first: int, last: int, shift: int, width: int) -> list[tuple[int, int, int]]:
    """The numbers of one run within ``first..last``, cut where the rotation wraps: start, end, place in the copy."""
    seam = start_of_run + width - shift  # the number that goes to place 0
    found = []
    for start, end, offset in (
        (start_of_run, seam, shift - start_of_run),
        (seam, start_of_run + width, -seam),
    ):
        low, high = max(start, first), min(end, last)
        if low < high:
            found.append((low, high, low + offset))
    return found
