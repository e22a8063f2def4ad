"""Rows as the model passes read them: prompt and response ids, cut once, with the same scored tokens in every pass."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hf_select.signals.keys import Integers
from hf_select.signals.plan import Segment, TokenIds
from hf_select.tokens import context_id, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from hf_select.rows import Row
    from hf_select.templates import Template

logger = logging.getLogger("hf_select")

_ROWS_PER_CALL = 1024  # lists of Python integers take ten times the room of arrays, so only this many live at once
_NONE = np.empty(0, dtype=np.int32)


class EncodedRow(NamedTuple):
    """One row as token ids.

    Attributes:
        prompt: tokens before the response; where the prompt is empty, the token that stands for "nothing before". Cut
            only where it leaves no room for a response, so that its states can be read.
        response: tokens of the response that are read, cut to the room that the prompt leaves.
        n_tokens: tokens of prompt and response before anything was cut.
    """

    prompt: TokenIds
    response: TokenIds
    n_tokens: int


class Encoded(NamedTuple):
    """All rows as token ids.

    Attributes:
        rows: ``N`` encoded rows.
        context: the token that stands for "nothing before" (BOS, else EOS), or ``None``. Without one the first
            response token has nothing to be predicted from when it stands alone, so no pass scores it.
    """

    rows: list[EncodedRow]
    context: int | None

    @property
    def n_skipped(self) -> int:
        """Leading response tokens that no pass scores: 0, or 1 without a context token."""
        return 0 if self.context is not None else 1

    @property
    def n_scored(self) -> Integers:
        """``(N,)`` response tokens whose loss is read."""
        return np.asarray([max(0, len(row.response) - self.n_skipped) for row in self.rows], dtype=np.int64)

    def conditional(self) -> list[Segment]:
        """Each response after its prompt."""
        skip = self.n_skipped
        return [Segment(np.concatenate([row.prompt, row.response[:skip]]), row.response[skip:]) for row in self.rows]

    def alone(self, prefix: TokenIds | None = None) -> list[Segment]:
        """Each response after a prefix (by default the context token) in place of its prompt; nothing if it is empty.

        Args:
            prefix: tokens before the response.

        Returns:
            Segments with the same targets as ``conditional``.
        """
        skip = self.n_skipped
        if prefix is None:
            prefix = _NONE if self.context is None else np.asarray([self.context], dtype=np.int32)
        return [
            Segment(np.concatenate([prefix, row.response[:skip]]), row.response[skip:])
            if len(row.response) > skip
            else Segment(_NONE, _NONE)
            for row in self.rows
        ]


def encode(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    template: Template,
    *,
    max_length: int | None,
    score_eos: bool = False,
) -> Encoded:
    """Tokenise rows for the model passes.

    A loss is never read after a cut prompt: a row whose prompt alone fills ``max_length`` keeps no response token.

    Args:
        rows: ``N`` rows.
        tokenizer: the model's tokenizer.
        template: wording of the prompt.
        max_length: tokens of a row at most; ``None`` for no limit.
        score_eos: end each response with the end-of-sequence token and score it too.

    Returns:
        The encoded rows.
    """
    context = context_id(tokenizer)
    encoded: list[EncodedRow] = []
    n_cut = n_without_room = 0
    for start in range(0, len(rows), _ROWS_PER_CALL):
        part = rows[start : start + _ROWS_PER_CALL]
        for row in tokenize(part, tokenizer, template, max_length=max_length, add_eos=score_eos):
            n_tokens = len(row.prompt_ids) + len(row.response_ids) + row.n_truncated
            prompt, response = row.prompt_ids, row.response_ids
            if not prompt and context is not None:
                prompt = [context]
                response = response if max_length is None else response[: max_length - 1]
            n_cut += row.n_truncated > 0 and len(response) > 0
            n_without_room += row.n_truncated > 0 and len(response) == 0
            prompt = prompt if response else prompt[:max_length]
            encoded.append(EncodedRow(np.asarray(prompt, np.int32), np.asarray(response, np.int32), n_tokens))
    if n_cut or n_without_room:
        logger.warning(
            "%d of %d responses are cut to fit max_length=%s; %d rows have a prompt that alone fills it: no loss.",
            n_cut, len(rows), max_length, n_without_room,
        )  # fmt: skip
    if context is None:
        logger.warning("The tokenizer has neither BOS nor EOS: no pass scores the first token of a response.")
    return Encoded(encoded, context)
