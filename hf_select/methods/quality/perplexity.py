"""Perplexity of the response, fluent rows or surprising rows first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from hf_select.methods.base import Family, Scorer, Scores, Task
from hf_select.methods.field import require_choice
from hf_select.signals.keys import RESPONSE_NLL, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class Perplexity(Scorer):
    """Perplexity of the response given its prompt, ``PPL_i = exp(mean NLL_i)``.

    Attributes:
        prefer: ``"low"`` keeps the responses that the model finds likely, ``"high"`` those that surprise it.

    Needs:
        ``response_nll``.

    Higher means:
        With ``prefer="low"`` a lower perplexity, kept first. The score is the logarithm of the perplexity (negated for
        ``"low"``), which ranks the same and cannot overflow; ``perplexity`` reports the number itself.

    Fails when:
        Low perplexity prefers short, repetitive and memorised rows; high perplexity prefers noise.

    Cost:
        One forward pass; O(N log N) to rank.

    Source:
        Wenzek et al. 2020 (CCNet), Marion et al. 2023 (When less is more).

    Differs from the source:
        Both take the perplexity of whole documents; here it is that of the response alone. Their middle band needs
        the whole pool and is not offered. With ``prefer="high"`` the order is that of ``loss``.
    """

    name = "perplexity"
    family = Family.QUALITY
    citation = "Wenzek et al. 2020, CCNet, arXiv:1911.00359; Marion et al. 2023, arXiv:2309.04564"
    tasks = frozenset({Task.CAUSAL_LM})
    unsuited: ClassVar[Mapping[Task, str]] = {
        Task.CLASSIFICATION: "it reads the loss of a response; 'entropy' or 'learning_loss' rank hard rows."
    }

    prefer: Literal["low", "high"] = "low"

    def __post_init__(self) -> None:
        require_choice("prefer", self.prefer, ("low", "high"))

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The loss of the response."""
        return frozenset({RESPONSE_NLL})

    def score(self, signals: Signals) -> Scores:
        """Log perplexity, negated where low is preferred."""
        log_perplexity = np.asarray(signals[RESPONSE_NLL], dtype=np.float64)
        return log_perplexity if self.prefer == "high" else -log_perplexity

    def perplexity(self, signals: Signals) -> Scores:
        """Perplexity of every row: ``(N,)``, 1 = certain."""
        with np.errstate(over="ignore"):
            return np.exp(np.asarray(signals[RESPONSE_NLL], dtype=np.float64))
