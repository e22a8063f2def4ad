"""What the methods share that only look at the text of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_select.methods.base import Exclusions, Family, Method
from hf_select.signals.keys import ROW_TEXT, Mask, Signal
from hf_select.signals.table import Signals


class Texted(Method):
    """A method that reads the text of every row and nothing else."""

    family = Family.REPRESENTATIVENESS

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The text of the row."""
        return frozenset({ROW_TEXT})

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows that say nothing."""
        return {"no text": textless(signals)}


def textless(signals: Signals) -> Mask:
    """Rows without a text, or with white space alone: ``(N,)`` bool."""
    return np.asarray([not isinstance(text, str) or not text.strip() for text in signals[ROW_TEXT]], dtype=bool)
