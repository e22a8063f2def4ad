"""Texts as a sequence classifier reads them: with the special tokens of its tokenizer, cut where they are too long."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_select.signals.plan import TokenIds

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger("hf_select")

_TEXTS_PER_CALL = 1024  # lists of Python integers take ten times the room of arrays, so only this many live at once


def encode_texts(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int | None, *, tells: bool = True
) -> list[TokenIds]:
    """Tokenise texts for a classifier.

    Args:
        texts: ``N`` texts.
        tokenizer: the classifier's tokenizer.
        max_length: tokens of a text at most, special tokens included; ``None`` for no limit.
        tells: warn how many texts are cut.

    Returns:
        ``N`` arrays of token ids; an empty one for a blank text, which is not read.
    """
    encoded: list[TokenIds] = []
    n_cut = 0
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        part = list(texts[start : start + _TEXTS_PER_CALL])
        ids = tokenizer(part, verbose=False)["input_ids"]
        long = [place for place, row in enumerate(ids) if max_length is not None and len(row) > max_length]
        if long:  # cut by the tokenizer, which keeps the special tokens at the end
            cut = tokenizer([part[place] for place in long], truncation=True, max_length=max_length)["input_ids"]
            for place, row in zip(long, cut, strict=True):
                ids[place] = row
        n_cut += sum(bool(part[place].strip()) for place in long)
        encoded += [
            np.asarray(row if text.strip() else [], dtype=np.int32) for text, row in zip(part, ids, strict=True)
        ]
    if n_cut and tells:
        logger.warning(
            "%d of %d texts are longer than max_length=%s tokens; what comes after is not read.",
            n_cut, len(texts), max_length,
        )  # fmt: skip
    return encoded
