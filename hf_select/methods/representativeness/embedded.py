"""What the methods share that only look at where rows lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_select.methods.base import Exclusions, Family, Method
from hf_select.signals.keys import EMBEDDING, Mask, Signal
from hf_select.signals.table import Signals


class Embedded(Method):
    """A method that reads the embedding of every row and nothing else."""

    family = Family.REPRESENTATIVENESS

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The embedding."""
        return frozenset({EMBEDDING})

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows that lie nowhere."""
        return {"no finite embedding": nowhere(signals)}


def nowhere(signals: Signals) -> Mask:
    """Rows without a finite embedding: ``(N,)`` bool."""
    return np.logical_not(np.isfinite(signals[EMBEDDING]).all(axis=1))
