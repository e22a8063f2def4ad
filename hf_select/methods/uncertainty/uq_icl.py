"""UQ_ICL: rows whose answer hangs on which demonstrations the model was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.field import require_whole
from hf_select.methods.uncertainty.probability import class_probabilities, mutual_information
from hf_select.methods.uncertainty.task_scorer import TaskScorer
from hf_select.signals.keys import Signal, demonstrated_mutual_information, demonstrated_probabilities
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class UQICL(TaskScorer):
    """Uncertainty of in-context learning: what the answer would tell about the set of demonstrations before it.

    ``EU = TU - AU = H(mean_l p_l) - mean_l H(p_l)`` over ``L`` sets of demonstrations, drawn from the labelled rows and
    shared by all rows. With ``task="causal_lm"`` it is the same for the next token, mean over the positions of the
    response. It is ``bald`` with demonstrations in the place of dropout masks, and so it also serves models without
    dropout.

    Attributes:
        task: kind of answer, a response (``"causal_lm"``) or a label (``"classification"``).
        n_sets: sets ``L`` of demonstrations, at least 2.
        n_demonstrations: labelled rows in each set.

    Needs:
        ``demonstrated_mutual_information_n_demonstrations_4_n_sets_4`` for responses,
        ``demonstrated_probabilities_n_demonstrations_4_n_sets_4`` for labels (with the values of the fields).

    Higher means:
        The demonstrations decide more, kept first; nats, at most ``min(ln C, ln L)``.

    Fails when:
        Few labelled rows make sets that hardly differ, or the model heeds the form of the demonstrations more than what
        they say.

    Cost:
        ``n_sets`` forward passes with longer prompts (for labels one for each class); O(N L C) to score, O(N log N) to
        rank.

    Source:
        Ling et al. 2024, their epistemic uncertainty.

    Differs from the source:
        Label probabilities are read by teacher forcing instead of from beams, and each set's are normalised before they
        are averaged: the published mean of unnormalised masses can make the uncertainty negative. The form for
        responses is ours.
    """

    name = "uq_icl"
    citation = "Ling et al. 2024, arXiv:2402.10189"

    n_sets: int = 4
    n_demonstrations: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("n_sets", self.n_sets, minimum=2)
        require_whole("n_demonstrations", self.n_demonstrations)

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """What the sets of demonstrations say: of the tokens, or of the labels."""
        return frozenset({self._signal})

    @property
    def _signal(self) -> Signal[Any]:
        read = demonstrated_probabilities if self.task == "classification" else demonstrated_mutual_information
        return read(self.n_sets, self.n_demonstrations)

    def score(self, signals: Signals) -> Scores:
        """Mutual information of the answer and the set of demonstrations."""
        values = signals[self._signal]
        if self.task == "causal_lm":
            return np.asarray(values, dtype=np.float64)
        return mutual_information(class_probabilities(values))
