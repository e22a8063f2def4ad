"""The demonstrations pass: a language model reads each row after several sets of labelled rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.keys import Signal, Values
from hf_select.signals.source import Source


def demonstration_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``demonstrated_probabilities`` and ``demonstrated_mutual_information``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays.
    """
    raise NotImplementedError
