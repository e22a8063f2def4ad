"""The gradients pass: what one optimiser step on a row would do, row by row."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.keys import Signal, Values
from hf_select.signals.source import Source


def gradient_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``less_influence`` and ``effort``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays.
    """
    raise NotImplementedError
