"""What a model predicts at the target positions of a batch: distributions, of which only a chunk exists at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from hf_select.signals.plan import Segment

_MAX_LOGIT_BYTES = 128 * 2**20  # float32 logits that exist at once
_MAX_CPU_POSITIONS = 256  # positions whose logits exist at once on a CPU: twice as fast while they stay in its cache


@dataclass(frozen=True)
class Positions:
    """A chunk of target positions and what the model predicts there.

    Attributes:
        log_probs: ``(c, V)`` float32, logarithms of the probabilities of the next token.
        target_ids: ``(c,)`` the token that stands there.
        states: ``(c, D)`` what the head is given; ``None`` if the model applies it itself and nobody asked for them.
        n_ids: ids from here on are padding of the vocabulary and never the most likely token.
    """

    log_probs: torch.Tensor
    target_ids: torch.Tensor
    states: torch.Tensor | None = None
    n_ids: int | None = None

    @cached_property
    def probabilities(self) -> torch.Tensor:
        """``(c, V)`` float32."""
        return self.log_probs.exp()

    @cached_property
    def top(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probability and id of the most likely token, ``(c,)`` each; of equal ones the lowest id."""
        value, token = self.log_probs[:, : self.n_ids].max(dim=-1)
        return value, token


@dataclass(frozen=True)
class Predictions:
    """The predictions for all targets of a batch, before they are spelled out.

    Attributes:
        inputs: ``(P, D)`` what the head is given at each target position, or ``(P, V)`` the logits of the model's own
            forward pass where ``head`` is ``None``.
        head: from the former to logits.
        n_vocabulary: ``V``.
        target_ids: ``(P,)`` the target tokens.
        counts: target tokens of each segment; they lie one segment after the other.
        states: ``(P, D)``, as in ``Positions``.
        n_ids: as in ``Positions``.
    """

    inputs: torch.Tensor
    head: Callable[[torch.Tensor], torch.Tensor] | None
    n_vocabulary: int
    target_ids: torch.Tensor
    counts: list[int]
    states: torch.Tensor | None = None
    n_ids: int | None = None

    def read(self, part: slice) -> Positions:
        """Some of the positions, spelled out.

        Args:
            part: which of the ``P`` positions.

        Returns:
            Them.
        """
        inputs = self.inputs[part]
        logits = inputs if self.head is None else self.head(inputs)
        log_probs = torch.log_softmax(logits.float(), dim=-1)
        states = None if self.states is None else self.states[part]
        return Positions(log_probs, self.target_ids[part].to(log_probs.device), states, self.n_ids)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[slice]:
        """The positions in chunks whose logits may exist at once.

        Args:
            start: the first position.
            end: the position after the last one; all by default.

        Yields:
            slice: consecutive positions.
        """
        size = max(1, _MAX_LOGIT_BYTES // (4 * self.n_vocabulary))
        if self.inputs.device.type == "cpu":
            size = min(size, _MAX_CPU_POSITIONS)
        end = len(self.target_ids) if end is None else end
        for first in range(start, end, size):
            yield slice(first, min(first + size, end))

    @property
    def segments(self) -> list[slice]:
        """Where the positions of each segment lie."""
        ends = np.cumsum(self.counts).tolist()
        return [slice(end - count, end) for end, count in zip(ends, self.counts, strict=True)]


def target_positions(segments: Sequence[Segment], starts: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Flat positions that predict a target token, and those tokens.

    Args:
        segments: ``n`` segments.
        starts: where each begins in the flattened tokens of the batch.

    Returns:
        Two ``(P,)`` int64 tensors.
    """
    where = [
        np.arange(len(segment.target)) + (start + len(segment.context) - 1)
        for segment, start in zip(segments, starts, strict=True)
    ]
    target_ids = [segment.target for segment in segments]
    if not where:
        return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    return torch.from_numpy(np.concatenate(where)), torch.from_numpy(np.concatenate(target_ids).astype(np.int64))
