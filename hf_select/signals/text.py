"""The text pass: what the rows tell without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_select.signals.encoding import Encoded
from hf_select.signals.keys import Integers

if TYPE_CHECKING:
    from hf_select.rows import Row


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
