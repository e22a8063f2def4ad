"""Whose token is it: where the tokens of each sample lie on a flattened axis of a batch.

padded      flat axis  a a a . b b b b      starts [0 4]   lengths [4 4]    (padding carries no gradient)
packed      flat axis  a a a b b b b        starts [0 3]   lengths [3 4]
targets     flat axis  a b b                starts [0 1]   lengths [1 2]    (positions whose logits are computed)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch


@dataclass(frozen=True)
class Spans:
    """The span of each of ``n`` samples on a flat axis; spans follow one another and leave nothing out.

    Attributes:
        lengths: positions of each sample.
    """

    lengths: tuple[int, ...]
    _known_places: dict[torch.device, torch.Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_samples(self) -> int:
        """Samples."""
        return len(self.lengths)

    @cached_property
    def n_flat(self) -> int:
        """Positions of all samples."""
        return sum(self.lengths)

    def by_sample(self, flat: torch.Tensor) -> torch.Tensor:
        """One row per sample, filled up with zeros.

        Args:
            flat: ``(n_flat, ...)``.

        Returns:
            ``(n, longest, ...)``; a view where all spans have one length.
        """
        longest = max(self.lengths)
        if min(self.lengths) == longest:
            return flat.reshape(self.n_samples, longest, *flat.shape[1:])
        rows = flat.new_zeros(self.n_samples * longest, *flat.shape[1:])
        return rows.index_copy_(0, self._places(flat.device), flat).reshape(self.n_samples, longest, *flat.shape[1:])

    def sample_of(self, device: torch.device) -> torch.Tensor:
        """``(n_flat,)`` sample that each position belongs to.

        Args:
            device: where the result goes.

        Returns:
            int64 numbers from 0.
        """
        lengths = torch.tensor(self.lengths, device=device)
        return torch.repeat_interleave(torch.arange(self.n_samples, device=device), lengths)

    def _places(self, device: torch.device) -> torch.Tensor:
        """``(n_flat,)`` place of each position among the filled up rows."""
        if device not in self._known_places:
            longest = max(self.lengths)
            places = [np.arange(length) + sample * longest for sample, length in enumerate(self.lengths)]
            self._known_places[device] = torch.from_numpy(np.concatenate(places)).to(device)
        return self._known_places[device]


@dataclass(frozen=True)
class BatchShape:
    """The flat axes that tensors of one forward pass may have.

    Attributes:
        tokens: spans of all tokens, padding included.
        others: spans of parts: of the positions whose logits are computed, or one position per sample.
    """

    tokens: Spans
    others: tuple[Spans, ...] = ()

    @property
    def n_samples(self) -> int:
        """Samples of the batch."""
        return self.tokens.n_samples

    def spans_of(self, shape: Sequence[int]) -> tuple[Spans, int] | None:
        """The axis along which a tensor's positions belong to samples.

        Args:
            shape: the tensor's shape without its last dimension.

        Returns:
            The spans and how many leading dimensions make up their axis; ``None`` if the shape fits none of them.
        """
        sizes = list(accumulate(shape, lambda left, right: left * right))
        for spans in (self.tokens, *self.others):
            if spans.n_flat in sizes:
                return spans, sizes.index(spans.n_flat) + 1
        if self.n_samples == 1 and sizes:  # whatever it is, it can only belong to the one sample
            return Spans((sizes[-1],)), len(sizes)
        return None
