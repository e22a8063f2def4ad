"""Length of the text, long rows or short rows first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Family, Scorer, Scores
from hf_select.methods.field import require_choice
from hf_select.signals.keys import TEXT_LENGTH, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class Length(Scorer):
    """Characters of prompt and response.

    Attributes:
        prefer: ``"long"`` keeps the longest rows, ``"short"`` the shortest.

    Needs:
        ``text_length``.

    Higher means:
        Longer, kept first; with ``prefer="short"`` the score is the negated length.

    Fails when:
        Length comes from padding, pasted data or repetition; and when methods are compared at the same number of rows,
        where the longest rows are also the most tokens to train on.

    Cost:
        No model; O(N log N) to rank.

    Source:
        Zhao et al. 2024 (Long is more for alignment).

    Differs from the source:
        There the tokens of the response alone are counted; here the characters of prompt and response.
    """

    name = "length"
    family = Family.QUALITY
    citation = "Zhao et al. 2024, arXiv:2402.04833"

    prefer: Literal["long", "short"] = "long"

    def __post_init__(self) -> None:
        require_choice("prefer", self.prefer, ("long", "short"))

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The length of the text."""
        return frozenset({TEXT_LENGTH})

    def score(self, signals: Signals) -> Scores:
        """Characters, negated where short is preferred."""
        n_characters = np.asarray(signals[TEXT_LENGTH], dtype=np.float64)
        return n_characters if self.prefer == "long" else -n_characters
