"""Entropy: rows for which the model spreads its probability over many answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.field import require_choice
from hf_select.methods.uncertainty.probability import class_probabilities, entropy
from hf_select.methods.uncertainty.task_scorer import TaskScorer
from hf_select.signals.keys import CLASS_PROBABILITIES, MAX_TOKEN_ENTROPY, TOKEN_ENTROPY, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class Entropy(TaskScorer):
    """Entropy of the prediction, ``H = -sum_c p_c ln p_c`` with ``0 ln 0 = 0``.

    Of a causal LM it is the entropy of the next token at each position of the response: the mean, or the largest.

    Attributes:
        task: kind of model that is asked, ``"causal_lm"`` or ``"classification"``.
        aggregate: ``"mean"`` over the tokens of a response, or ``"max"``; for causal LMs alone.

    Needs:
        ``token_entropy`` of a causal LM (``max_token_entropy`` for ``aggregate="max"``); ``class_probabilities`` of a
        classifier.

    Higher means:
        Less certain, kept first; nats, at most ``ln C`` for ``C`` classes.

    Fails when:
        Many answers are right, as with free text: then entropy measures how many, not what the model does not know.
        Overconfident models and noise mislead it as they do ``least_confidence``.

    Cost:
        One forward pass; O(N C) to score, O(N log N) to rank.

    Source:
        Shannon 1948; as a strategy Settles 2009; mean and maximum token entropy Bhatt et al. 2024.

    Differs from the source:
        A causal LM is asked at every position of the row's own response, not along a response that it generates.
    """

    name = "entropy"
    citation = (
        "Settles 2009, Active learning literature survey, University of Wisconsin TR 1648; "
        "Bhatt et al. 2024, arXiv:2401.06692"
    )

    aggregate: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("aggregate", self.aggregate, ("mean", "max"))
        self._require_default("aggregate", "classification", "a label is one prediction, there is nothing to aggregate")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The entropy of the tokens, or the class probabilities."""
        return frozenset({self._signal})

    @property
    def _signal(self) -> Signal[Any]:
        if self.task == "classification":
            return CLASS_PROBABILITIES
        return MAX_TOKEN_ENTROPY if self.aggregate == "max" else TOKEN_ENTROPY

    def score(self, signals: Signals) -> Scores:
        """Nats."""
        if self.task == "classification":
            return entropy(class_probabilities(signals[CLASS_PROBABILITIES]))
        return np.asarray(signals[self._signal], dtype=np.float64)
