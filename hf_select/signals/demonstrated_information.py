"""What a response tells about the demonstrations before its prompt, token by token.

    I_t = H[mean_l p_l,t] - mean_l H[p_l,t]        over the sets l; mean over the tokens t of the response

The response is the row's own and the same after every set. A batch is read once after each set; what is kept of a
reading is what the head is given at the response's tokens, so distributions exist for a chunk of them only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from hf_select.errors import ConfigError
from hf_select.rows import Row
from hf_select.signals.demonstration_set import (
    DemonstrationSets,
    context_limit,
    cut,
    distinct_rows,
    draw_orders,
    equal_share,
    only_drawn,
    row_text,
    split_lead,
)
from hf_select.signals.encoding import Encoded, encode
from hf_select.signals.engine import FirstCheck, blank_non_finite, run_reader
from hf_select.signals.identity import segments_hash, texts_hash
from hf_select.signals.keys import Floats, Indices, Integers
from hf_select.signals.plan import Segment, TokenIds
from hf_select.signals.predictions import Predictions
from hf_select.signals.reader import Reader
from hf_select.signals.source import Source
from hf_select.signals.statistic import mutual_information
from hf_select.signals.store import Arrays

_SEPARATOR = "\n\n"  # after a demonstration
_NAME = "demonstrated_information"


def read_demonstrated_information(source: Source, n_sets: int, n_demonstrations: int) -> Floats:
    """Mutual information of next token and set of demonstrations, mean over each response.

    Args:
        source: rows, labelled rows and a causal language model.
        n_sets: sets of demonstrations.
        n_demonstrations: labelled rows in each, with their responses.

    Returns:
        ``(N,)`` nats per response token; NaN for a row without a response token that can be scored.

    Raises:
        ConfigError: if too few labelled rows have a response, or they do not fit into the context.
    """
    responses = _make_responses(source, n_sets, n_demonstrations)
    lengths = responses.lengths()
    if not lengths.any():
        return np.full(len(lengths), np.nan)
    check = FirstCheck(source.models.model, "demonstrations", lengths > 0)

    def read(ready: Reader, rows: Indices) -> Arrays:
        information = responses.read(ready, rows)
        check(rows, {_NAME: information})
        return {_NAME: information}

    values = run_reader(
        source.models.model, "demonstrations", lengths, read,
        way=source.models.way, max_tokens_per_batch=source.options.max_tokens_per_batch,
        store=source.model_store("demonstrated-responses", **responses.identity), progress=source.options.progress,
    )  # fmt: skip
    blank_non_finite("demonstrations", values, lengths > 0)
    return values[_NAME]


@dataclass(frozen=True)
class _Responses:
    """Each response after its prompt, and the demonstrations to stand before both."""

    texts: Sequence[str]
    segments: Sequence[Segment]
    context: int | None
    sets: DemonstrationSets

    def lengths(self) -> Integers:
        """``(N,)`` tokens of one reading of each row; 0 for a row without target."""
        return np.asarray(
            [
                segment.n_tokens + self.sets.n_before(text) if len(segment.target) else 0
                for text, segment in zip(self.texts, self.segments, strict=True)
            ],
            dtype=np.int64,
        )

    @property
    def identity(self) -> dict[str, object]:
        """What the information depends on besides the model."""
        return {"texts": texts_hash(self.texts), "rows": segments_hash(self.segments), "sets": self.sets.identity}

    def read(self, ready: Reader, rows: Indices) -> Floats:
        """``(n,)`` mean information of a batch of rows."""
        readings = [
            ready.predict([self._after(int(row), number) for row in rows]) for number in range(len(self.sets.orders))
        ]
        first = readings[0]
        found = [mutual_information([partial(_log_probs, one, part) for one in readings]) for part in first.chunks()]
        information = torch.cat(found).cpu().numpy()
        return np.asarray([information[part].mean() for part in first.segments])

    def _after(self, row: int, number: int) -> Segment:
        """A row after one of the sets."""
        lead, prompt = split_lead(self.segments[row].context, self.context)
        before = self.sets.before(self.texts[row], number)
        return Segment(np.concatenate([lead, before, prompt]), self.segments[row].target)


def _log_probs(predictions: Predictions, part: slice) -> torch.Tensor:
    return predictions.read(part).log_probs


def _make_responses(source: Source, n_sets: int, n_demonstrations: int) -> _Responses:
    """Demonstrations and rows as tokens, cut so that every reading fits into the context."""
    answered = [row for row in source.labelled if row.response]
    if not answered:
        raise ConfigError("None of the labelled= rows has a response to demonstrate; name rows that have one.")
    labelled = distinct_rows(answered, source.rows, n_demonstrations)
    drawn, orders = only_drawn(draw_orders([None] * len(labelled), n_sets, n_demonstrations, source.options.seed))
    shown = [labelled[row] for row in drawn]
    separator = np.asarray(source.models.tokenizer(_SEPARATOR, add_special_tokens=False)["input_ids"], dtype=np.int32)
    limit = context_limit(source)
    share = equal_share(limit, 1 + n_demonstrations * len(separator), n_demonstrations)
    whole = _encode(shown, source, None)
    bodies = [np.concatenate([split_lead(row.prompt, whole.context)[1], row.response]) for row in whole.rows]
    pieces: list[TokenIds] = [np.concatenate([body, separator]) for body in cut("demonstrations", bodies, share)]
    sets = DemonstrationSets([row_text(row) for row in shown], pieces, orders, n_demonstrations)
    encoded = _encode(source.rows, source, None if limit is None else limit - sets.max_tokens)
    return _Responses([row_text(row) for row in source.rows], encoded.conditional(), encoded.context, sets)


def _encode(rows: Sequence[Row], source: Source, max_length: int | None) -> Encoded:
    return encode(
        rows, source.models.tokenizer, source.template, max_length=max_length, score_eos=source.options.score_eos
    )
