"""Least confidence: rows whose most probable answer is not very probable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.field import require_choice
from hf_select.methods.uncertainty.probability import class_probabilities
from hf_select.methods.uncertainty.task_scorer import TaskScorer
from hf_select.signals.keys import CLASS_PROBABILITIES, RESPONSE_TOKENS, TOP_TOKEN_NLL, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class LeastConfidence(TaskScorer):
    """How improbable the model finds its own best answer.

    Classification: ``1 - max_c p_c``. Causal LM, with ``y_t`` the token that the model holds most likely at position
    ``t`` of the response: ``1 - exp(mean_t ln p(y_t))`` for ``norm="mean"``, ``-sum_t ln p(y_t)`` for ``norm="sum"``.

    Attributes:
        task: kind of model that is asked, ``"causal_lm"`` or ``"classification"``.
        norm: ``"mean"`` over the tokens of a response, so that its length does not matter, or ``"sum"``, which favours
            long responses; for causal LMs alone.

    Needs:
        ``top_token_nll`` of a causal LM, for ``norm="sum"`` also ``response_tokens``; ``class_probabilities`` of a
        classifier.

    Higher means:
        Less confident, kept first: in 0..1, but nats for ``norm="sum"``.

    Fails when:
        The model is confident and wrong: it finds nothing to ask, and rows that nobody could answer (noise, several
        right answers) are asked for ever. For generation such strategies do not reliably beat random picks (Perlitz et
        al. 2023, arXiv:2305.15040).

    Cost:
        One forward pass; O(N C) to score, O(N log N) to rank.

    Source:
        Lewis and Gale 1994; for language models the length-normalised sequence probability of Bhatt et al. 2024.

    Differs from the source:
        A causal LM is asked at every position of the row's own response, not along a response that it generates; the
        probability of the response itself is ``loss``.
    """

    name = "least_confidence"
    citation = "Lewis and Gale 1994, arXiv:cmp-lg/9407020; Bhatt et al. 2024, arXiv:2401.06692"

    norm: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("norm", self.norm, ("mean", "sum"))
        self._require_default("norm", "classification", "a label has no tokens to sum over")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The loss of the model's own tokens, or the class probabilities."""
        if self.task == "classification":
            return frozenset({CLASS_PROBABILITIES})
        return frozenset({TOP_TOKEN_NLL, RESPONSE_TOKENS} if self.norm == "sum" else {TOP_TOKEN_NLL})

    def score(self, signals: Signals) -> Scores:
        """What is missing to certainty, or nats of the whole response."""
        if self.task == "classification":
            return np.asarray(1.0 - class_probabilities(signals[CLASS_PROBABILITIES]).max(axis=1))
        nll = np.asarray(signals[TOP_TOKEN_NLL], dtype=np.float64)
        nll = np.where(np.isfinite(nll), nll, np.nan)  # 1 - exp(-inf) would be a score
        return np.asarray(nll * signals[RESPONSE_TOKENS] if self.norm == "sum" else -np.expm1(-nll))
