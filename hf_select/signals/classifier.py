"""The classifier pass: what a sequence classifier says of every row, in one forward."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.keys import Signal, Values
from hf_select.signals.source import Source


def classifier_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read probabilities, penultimate states, expected gradient lengths and the model's own ``EMBEDDING``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays.
    """
    raise NotImplementedError
