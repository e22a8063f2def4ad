"""BALD: rows about which the samples of a stochastic model disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.field import require_choice, require_whole
from hf_select.methods.uncertainty.probability import class_probabilities, mutual_information
from hf_select.methods.uncertainty.task_scorer import TaskScorer
from hf_select.signals.keys import Signal, stochastic_probabilities, token_mutual_information
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class BALD(TaskScorer):
    """Bayesian active learning by disagreement: what the label of a row would tell about the model.

    ``I = H(mean_s p_s) - mean_s H(p_s)`` over ``S`` samples of the model (dropout masks, adapters, checkpoints). Of a
    causal LM it is the same for the next token, mean over the positions of the response.

    Attributes:
        task: kind of model that is asked, ``"causal_lm"`` or ``"classification"``.
        n_samples: samples ``S`` of the model, at least 2.
        measure: ``"mutual_information"``, or ``"variation_ratio"``, the share of samples that do not vote for the most
            voted class: ``S`` values at most, hence many ties; for classifiers alone.

    Needs:
        ``token_mutual_information_n_samples_20`` of a causal LM, ``stochastic_probabilities_n_samples_20`` of a
        classifier (with the number of ``n_samples``). Without dropout, adapters or checkpoints that differ, that pass
        refuses.

    Higher means:
        More disagreement, kept first: nats, at most ``min(ln C, ln S)``; for the variation ratio a share, at most
        ``1 - ceil(S / C) / S``.

    Fails when:
        The samples hardly differ (little dropout, adapters close to each other), so that noise decides the order; rows
        near each other disagree alike and are picked together (see ``batch_bald``).

    Cost:
        ``n_samples`` forward passes; O(N S C) to score, O(N log N) to rank.

    Source:
        Houlsby et al. 2011; with dropout Gal et al. 2017; over tokens the knowledge uncertainty of Malinin and Gales
        2021.

    Differs from the source:
        20 samples where most implementations take 10, so that one stochastic pass serves ``bald`` and ``batch_bald``.
        The tokens are those of the row's own response. Of classes with equally many votes the lower one counts as
        voted, which does not change the ratio.
    """

    name = "bald"
    citation = (
        "Houlsby et al. 2011, arXiv:1112.5745; Gal et al. 2017, arXiv:1703.02910; "
        "Malinin and Gales 2021, arXiv:2002.07650"
    )

    n_samples: int = 20
    measure: Literal["mutual_information", "variation_ratio"] = "mutual_information"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("n_samples", self.n_samples, minimum=2)
        require_choice("measure", self.measure, ("mutual_information", "variation_ratio"))
        self._require_default("measure", "causal_lm", "it counts votes for a class, and a response is not one of a few")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """What the samples say: of the tokens, or of the classes."""
        if self.task == "classification":
            return frozenset({stochastic_probabilities(self.n_samples)})
        return frozenset({token_mutual_information(self.n_samples)})

    def score(self, signals: Signals) -> Scores:
        """Mutual information, or the variation ratio."""
        if self.task == "causal_lm":
            return np.asarray(signals[token_mutual_information(self.n_samples)], dtype=np.float64)
        probabilities = class_probabilities(signals[stochastic_probabilities(self.n_samples)])
        measure = mutual_information if self.measure == "mutual_information" else variation_ratio
        return measure(probabilities)


def variation_ratio(probabilities: Scores) -> Scores:
    """Share of the samples that do not vote for the class with the most votes.

    Args:
        probabilities: ``(N, S, C)`` of ``S`` samples.

    Returns:
        ``(N,)`` of the values ``0, 1/S, ..., 1 - ceil(S/C)/S``; NaN where a probability is.

    Source:
        Freeman 1965, Elementary applied statistics; Gal et al. 2017.
    """
    votes = probabilities.argmax(axis=2)
    n_classes, n_samples = probabilities.shape[2], probabilities.shape[1]
    most = np.max([(votes == label).sum(axis=1) for label in range(n_classes)], axis=0)
    return np.where(np.isnan(probabilities[:, 0, 0]), np.nan, 1.0 - most / n_samples)
