"""What a sample of models disagrees on, token by token: the mutual information of the next token and the member.

    I_t = H[mean_k p_k,t] - mean_k H[p_k,t]        averaged over the tokens t of the response

The same batch is read once by every member; what exists of each at once are the inputs of its head, and distributions
over the vocabulary for a chunk of positions only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hf_select.signals.engine import FirstCheck, blank_non_finite, run_reader
from hf_select.signals.identity import segments_hash
from hf_select.signals.keys import Indices
from hf_select.signals.member import Member, check_difference, member_of
from hf_select.signals.plan import Segment
from hf_select.signals.predictions import Predictions
from hf_select.signals.reader import Reader, inner_model, reader
from hf_select.signals.source import Source
from hf_select.signals.statistic import mutual_information
from hf_select.signals.store import Arrays

_MAX_LOGIT_BYTES = 2**30  # of all members, where a model computes its logits itself
_NAME = "mutual_information"


def read_token_information(source: Source, n_samples: int) -> NDArray[np.float64]:
    """Mutual information of next token and member, mean over each response.

    Args:
        source: rows, a causal language model and its ensemble.
        n_samples: members.

    Returns:
        ``(N,)`` nats per response token, at least 0; NaN for a row without a response token that can be scored.
    """
    segments = source.encoded.conditional()
    scored = source.encoded.n_scored > 0
    if not scored.any():
        return np.full(len(segments), np.nan)
    lengths = np.asarray([segment.n_tokens for segment in segments]) * scored
    members = [member_of(source, sample) for sample in range(n_samples)]
    keyed = source.options.cache_dir is not False
    identity = [[member.models.model_identity if keyed else {}, member.identity] for member in members]
    store = source.model_store("stochastic", segments=segments_hash(segments), members=identity)
    first = members[0].models
    others = {id(member.models): member.models for member in members if member.models is not first}
    with ExitStack() as stack:
        readers = {key: stack.enter_context(reader(models.model, models.way)) for key, models in others.items()}
        reads = _Batches(segments, members, readers, FirstCheck(first.model, "stochastic", scored))
        values = run_reader(
            first.model, "stochastic", lengths, reads.read, way=first.way,
            max_tokens_per_batch=source.options.max_tokens_per_batch, store=store, progress=source.options.progress,
        )  # fmt: skip
    blank_non_finite("stochastic", values, scored)
    return values[_NAME]


class Piece(NamedTuple):
    """Consecutive targets of one row of a batch, with all that comes before them as context."""

    row: int
    segment: Segment


def target_pieces(segments: Sequence[Segment], max_targets: int) -> Iterator[list[Piece]]:
    """The targets of a batch in groups of at most ``max_targets``; what comes after them in a row is not read.

    Args:
        segments: ``n`` segments.
        max_targets: targets of a group.

    Yields:
        list[Piece]: the pieces of one group.
    """
    group: list[Piece] = []
    room = max_targets
    for row, (context, target) in enumerate(segments):
        start = 0
        while start < len(target):
            end = min(len(target), start + room)
            group.append(Piece(row, Segment(np.concatenate([context, target[:start]]), target[start:end])))
            room -= end - start
            start = end
            if room == 0:
                yield group
                group, room = [], max_targets
    if group:
        yield group


@dataclass
class _Batches:
    """Reads batches with every member."""

    segments: Sequence[Segment]
    members: Sequence[Member]
    others: dict[int, Reader]
    check: FirstCheck
    was_compared: bool = field(default=False, init=False)

    def read(self, first: Reader, rows: Indices) -> Arrays:
        """Mean information of each row of a batch."""
        segments = [self.segments[row] for row in rows]
        sums = np.zeros(len(rows))
        for group in target_pieces(segments, self._max_targets(first, segments)):
            pieces = [piece.segment for piece in group]
            predictions = [self._predict(member, first, pieces) for member in self.members]
            found = self._information(predictions)
            np.add.at(sums, np.repeat([piece.row for piece in group], [len(piece.target) for piece in pieces]), found)
        values = {_NAME: sums / np.asarray([len(segment.target) for segment in segments])}
        self.check(rows, values)
        return values

    def _max_targets(self, first: Reader, segments: Sequence[Segment]) -> int:
        """All targets at once, unless a model itself makes logits of them, which then exist for every member."""
        if all(ready.body is not None for ready in (first, *self.others.values())):
            return sum(len(segment.target) for segment in segments)
        weight: torch.Tensor = inner_model(first.model).get_input_embeddings().weight
        return max(1, _MAX_LOGIT_BYTES // (len(self.members) * weight.shape[0] * weight.element_size()))

    def _predict(self, member: Member, first: Reader, pieces: Sequence[Segment]) -> Predictions:
        with member.state:
            return self.others.get(id(member.models), first).predict(pieces)

    def _information(self, predictions: Sequence[Predictions]) -> NDArray[np.float64]:
        """``(P,)`` information at every position, a chunk at a time."""
        found = []
        for part in predictions[0].chunks():
            readings = [
                lambda member=member, predicted=predicted, part=part: _log_probs(member, predicted, part)
                for member, predicted in zip(self.members, predictions, strict=True)
            ]
            if not self.was_compared:
                self.was_compared = True
                check_difference(readings[0](), readings[1]())
            found.append(mutual_information(readings).cpu())
        return torch.cat(found).double().numpy()


def _log_probs(member: Member, predicted: Predictions, part: slice) -> torch.Tensor:
    """Log probabilities of a chunk; the head too may hold an adapter or dropout, so it is applied as that member."""
    with member.state:
        return predicted.read(part).log_probs
