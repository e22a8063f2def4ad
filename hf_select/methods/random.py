"""Random picks: what every other method has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_select.methods.base import Family, Method, Picks
from hf_select.signals.keys import Indices, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class Random(Method):
    """Rows in random order: the first ``k`` of one permutation of the eligible rows.

    Needs:
        Nothing.

    Higher means:
        Drawn earlier; the score is the share of the eligible rows that were not drawn before.

    Fails when:
        Nothing but luck decides: with few picks rare kinds of rows are missing. Every other method has to beat it.

    Cost:
        O(N).

    Source:
        The baseline of every selection study.

    Differs from the source:
        A permutation instead of a draw of ``k``, so that a smaller budget is a prefix of a larger one.
    """

    name = "random"
    family = Family.REPRESENTATIVENESS
    citation = ""

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """No signal."""
        return frozenset()

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:  # noqa: ARG002
        """The first ``k`` rows of a random order."""
        return Picks(rng.permutation(rows)[:k], 1.0 - np.arange(k) / len(rows))
