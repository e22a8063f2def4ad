"""SPUQ: rows whose answer changes when the question is worded otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.field import require_choice, require_whole
from hf_select.methods.uncertainty.probability import class_probabilities, entropy
from hf_select.methods.uncertainty.task_scorer import TaskScorer
from hf_select.signals.keys import Signal, generation_agreement, perturbed_probabilities
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class SPUQ(TaskScorer):
    """Sampling with perturbation: how little the answers to several wordings of one row agree.

    ``score = 1 - confidence``, where confidence is the mean similarity of the answers over pairs of wordings. For a
    causal LM that is the similarity of the generated texts; for a classifier it is ``1 - JSD / ln 2`` of the two
    predicted distributions, ``JSD(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2``.

    Attributes:
        task: kind of model that is asked, ``"causal_lm"`` or ``"classification"``.
        n_variants: wordings of each row, at least 2; the first is the row itself.
        similarity: of two texts: ``"edit"`` compares the tokens of code, ``"rouge_l"`` is the published one, which
            does not see punctuation (``a + b`` and ``a - b`` are equal to it); for causal LMs alone.
        pairs: ``"all"`` pairs of wordings, or those with the ``"first"`` as published.

    Needs:
        ``generation_agreement_n_variants_5_pairs_all_similarity_edit`` of a causal LM,
        ``perturbed_probabilities_n_variants_5`` of a classifier (with the values of the fields).

    Higher means:
        Less agreement, kept first; in 0..1.

    Fails when:
        The model is steadily wrong: whatever the wording, it gives the same wrong answer and looks certain. Open
        questions have many good answers that do not agree.

    Cost:
        ``n_variants`` generations per row for a causal LM; ``n_variants`` forward passes for a classifier and, over
        ``S`` wordings, O(N S^2 C) to score. O(N log N) to rank.

    Source:
        Gao et al. 2024 (SPUQ), its inter-sample confidence.

    Differs from the source:
        The first wording is the row as it is; the published code compares with its first perturbation and never asks
        the original. The mean is not weighted, which reproduces the published numbers. Similarity of code and all pairs
        by default. The form for classifiers is ours.
    """

    name = "spuq"
    citation = "Gao et al. 2024, SPUQ, arXiv:2403.02509"

    n_variants: int = 5
    similarity: Literal["edit", "rouge_l"] = "edit"
    pairs: Literal["all", "first"] = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("n_variants", self.n_variants, minimum=2)
        require_choice("similarity", self.similarity, ("edit", "rouge_l"))
        require_choice("pairs", self.pairs, ("all", "first"))
        self._require_default("similarity", "classification", "distributions are compared, not texts")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The agreement of the texts, or the class probabilities of all wordings."""
        return frozenset({self._signal})

    @property
    def _signal(self) -> Signal[Any]:
        if self.task == "classification":
            return perturbed_probabilities(self.n_variants)
        return generation_agreement(self.n_variants, self.similarity, self.pairs)

    def score(self, signals: Signals) -> Scores:
        """One less the confidence."""
        if self.task == "causal_lm":
            return 1.0 - np.asarray(signals[self._signal], dtype=np.float64)
        divergence = mean_divergence(class_probabilities(signals[self._signal]), self.pairs)
        return np.clip(divergence / math.log(2), 0.0, 1.0)


def mean_divergence(probabilities: Scores, pairs: Literal["all", "first"]) -> Scores:
    """Jensen-Shannon divergence of two samples, mean over pairs of them.

    Args:
        probabilities: ``(N, S, C)`` of ``S`` samples, at least 2.
        pairs: all pairs, or those with the first sample.

    Returns:
        ``(N,)`` nats, at most ``ln 2``; NaN where a probability is.

    Source:
        Lin 1991, doi:10.1109/18.61115.
    """
    alone = entropy(probabilities)
    n_samples = probabilities.shape[1]
    divergences = []
    for one in range(n_samples - 1 if pairs == "all" else 1):
        midway = (probabilities[:, one, None] + probabilities[:, one + 1 :]) / 2
        divergences.append(entropy(midway) - (alone[:, one, None] + alone[:, one + 1 :]) / 2)
    return np.asarray(np.concatenate(divergences, axis=1).mean(axis=1))
