"""Loss: the mean negative log-likelihood of the response, hardest rows first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_select.methods.base import Family, Scorer, Scores, Task
from hf_select.signals.keys import RESPONSE_NLL, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class Loss(Scorer):
    """Mean negative log-likelihood of the response given its prompt.

    ``score_i = -(1/T_i) sum_t log p(y_it | prompt_i, y_i<t)``

    Needs:
        ``response_nll``.

    Higher means:
        Harder for the model that was asked, kept first. Wrong and garbled responses are hard as well: use it behind
        gates.

    Fails when:
        Wrong or garbled responses have the highest loss, so without gates noise is picked first.

    Cost:
        One forward pass; O(N log N) to rank.

    Source:
        The training objective itself; a baseline of most selection studies.

    Differs from the source:
        Nothing.
    """

    name = "loss"
    family = Family.QUALITY
    citation = ""
    tasks = frozenset({Task.CAUSAL_LM})
    unsuited: ClassVar[Mapping[Task, str]] = {
        Task.CLASSIFICATION: "it reads the loss of a response; 'entropy' or 'learning_loss' rank hard rows."
    }

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The loss of the response."""
        return frozenset({RESPONSE_NLL})

    def score(self, signals: Signals) -> Scores:
        """Nats per response token."""
        return np.asarray(signals[RESPONSE_NLL], dtype=np.float64)
