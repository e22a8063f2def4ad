"""The loss-prediction pass: a trained head says how large the loss of each row would be."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.keys import Signal, Values
from hf_select.signals.source import Source


def loss_prediction_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read ``PREDICTED_LOSS``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays.
    """
    raise NotImplementedError
