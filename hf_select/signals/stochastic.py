"""The stochastic pass: the same rows under several dropout masks, adapters or checkpoints."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.keys import Signal, Values
from hf_select.signals.source import Source


def stochastic_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``stochastic_probabilities`` and ``token_mutual_information``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays.
    """
    raise NotImplementedError
