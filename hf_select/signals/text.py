"""The text pass: what the rows tell without a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.signals.encoding import Encoded
from hf_select.signals.keys import ROW_TEXT, ROW_TOKENS, TEXT_LENGTH, Integers, Signal, Texts, Values
from hf_select.signals.source import Source

if TYPE_CHECKING:
    from hf_select.rows import Row


def text_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read ``TEXT_LENGTH``, ``ROW_TEXT`` and ``ROW_TOKENS``.

    Args:
        wanted: which of them.
        source: rows, and the tokenizer where tokens are counted.

    Returns:
        Their arrays.
    """
    values: Values = {}
    if TEXT_LENGTH in wanted:
        values[TEXT_LENGTH] = text_length(source.rows)
    if ROW_TEXT in wanted:
        values[ROW_TEXT] = row_text(source.rows)
    if ROW_TOKENS in wanted:
        values[ROW_TOKENS] = row_tokens(source.encoded, source.options.max_length)
    return values


def row_text(rows: Sequence[Row]) -> Texts:
    """Prompt and response, joined by a newline, without the template.

    Args:
        rows: ``N`` rows.

    Returns:
        ``(N,)`` texts; empty for a row without text.
    """
    return np.asarray(["\n".join(filter(None, (row.prompt, row.response))) for row in rows], dtype=object)


def text_length(rows: Sequence[Row]) -> Integers:
    """Characters of prompt and response, without the template.

    Args:
        rows: ``N`` rows.

    Returns:
        ``(N,)`` lengths.
    """
    return np.asarray([len(row.prompt) + len(row.response) for row in rows], dtype=np.int64)


def row_tokens(encoded: Encoded, max_length: int | None) -> Integers:
    """Tokens of the worded prompt and the response, as training reads them.

    Args:
        encoded: ``N`` encoded rows.
        max_length: where training cuts a row; ``None`` if it does not.

    Returns:
        ``(N,)`` numbers of tokens.
    """
    counts = np.asarray([row.n_tokens for row in encoded.rows], dtype=np.int64)
    return counts if max_length is None else np.minimum(counts, max_length)
