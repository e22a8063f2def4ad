"""Margin: rows for which the model can hardly tell its two best answers apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.field import require_choice
from hf_select.methods.uncertainty.probability import class_probabilities
from hf_select.methods.uncertainty.task_scorer import TaskScorer
from hf_select.signals.keys import CLASS_PROBABILITIES, MIN_TOKEN_MARGIN, TOKEN_MARGIN, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class Margin(TaskScorer):
    """Lead of the most probable answer over the second, ``score = -(p_1 - p_2)``.

    Of a causal LM it is the lead of the most probable next token at each position of the response: the mean, or the
    smallest.

    Attributes:
        task: kind of model that is asked, ``"causal_lm"`` or ``"classification"``.
        aggregate: ``"mean"`` over the tokens of a response, or ``"min"``; for causal LMs alone.

    Needs:
        ``token_margin`` of a causal LM (``min_token_margin`` for ``aggregate="min"``); ``class_probabilities`` of a
        classifier.

    Higher means:
        A smaller lead, kept first; in -1..0.

    Fails when:
        Two answers mean the same (synonyms, two spellings of one token): then the lead is small and nothing is unknown.
        Overconfident models and noise mislead it as they do ``least_confidence``.

    Cost:
        One forward pass; O(N C) to score, O(N log N) to rank.

    Source:
        Scheffer et al. 2001; mean and minimum token margin Bhatt et al. 2024.

    Differs from the source:
        A causal LM is asked at every position of the row's own response, not along a response that it generates.
    """

    name = "margin"
    citation = (
        "Scheffer et al. 2001, Active hidden Markov models for information extraction, Intelligent Data Analysis; "
        "Bhatt et al. 2024, arXiv:2401.06692"
    )

    aggregate: Literal["mean", "min"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("aggregate", self.aggregate, ("mean", "min"))
        self._require_default("aggregate", "classification", "a label is one prediction, there is nothing to aggregate")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The margin of the tokens, or the class probabilities."""
        return frozenset({self._signal})

    @property
    def _signal(self) -> Signal[Any]:
        if self.task == "classification":
            return CLASS_PROBABILITIES
        return MIN_TOKEN_MARGIN if self.aggregate == "min" else TOKEN_MARGIN

    def score(self, signals: Signals) -> Scores:
        """The lead, negated."""
        if self.task == "causal_lm":
            return -np.asarray(signals[self._signal], dtype=np.float64)
        best = np.sort(class_probabilities(signals[CLASS_PROBABILITIES]), axis=1)[:, -2:]
        return best[:, 0] - best[:, 1]
