"""The generation pass: what the model itself answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.keys import Signal, Values
from hf_select.signals.source import Source


def generation_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``generation_agreement`` and ``sampled_gradient_length``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays.
    """
    raise NotImplementedError
