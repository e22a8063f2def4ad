"""The perturbed pass: a classifier reads each row in several wordings that mean the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.keys import Signal, Values
from hf_select.signals.source import Source


def perturbed_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``perturbed_probabilities``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays.
    """
    raise NotImplementedError
