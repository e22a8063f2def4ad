"""Expected gradient length: rows that would change the model, whatever their answer is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.field import require_whole
from hf_select.methods.uncertainty.task_scorer import TaskScorer
from hf_select.signals.keys import EXPECTED_GRADIENT_LENGTH, Signal, sampled_gradient_length
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class EGL(TaskScorer):
    """Expected gradient length: the norm of the loss gradient, mean over the answers that the model expects.

    Classification: ``sum_y p(y | x) ||grad CE(x, y)||_2``. Causal LM: ``(1/S) sum_s ||grad NLL(y_s)||_2`` over ``S``
    responses that the model samples. The gradient is that of the last layer, with its bias where it has one.

    Attributes:
        task: kind of model that is asked, ``"causal_lm"`` or ``"classification"``.
        n_samples: responses ``S`` that a causal LM samples; for causal LMs alone.

    Needs:
        ``sampled_gradient_length_n_samples_4`` of a causal LM (with the number of ``n_samples``);
        ``expected_gradient_length`` of a classifier.

    Higher means:
        A larger expected change of the model, kept first; a norm, at least 0.

    Fails when:
        Large hidden states or long responses stretch every gradient, so that rows are picked for those. Noise that the
        model cannot fit has long gradients as well.

    Cost:
        One forward pass for a classifier; ``n_samples`` generations and as many forward passes for a causal LM. O(N log
        N) to rank.

    Source:
        Settles and Craven 2008, whose sequence model sums over its most likely labellings.

    Differs from the source:
        The last layer stands for all parameters: there the norm has a closed form and needs no backward pass. For a
        causal LM the expectation is a mean over samples. Do not take it for the gradient norm at the true answer.
    """

    name = "egl"
    citation = "Settles and Craven 2008, aclanthology.org/D08-1112"

    n_samples: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("n_samples", self.n_samples)
        self._require_default("n_samples", "classification", "the mean over the classes is exact, nothing is sampled")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The expected norm."""
        return frozenset({self._signal})

    @property
    def _signal(self) -> Signal[Any]:
        if self.task == "classification":
            return EXPECTED_GRADIENT_LENGTH
        return sampled_gradient_length(self.n_samples)

    def score(self, signals: Signals) -> Scores:
        """The expected norm."""
        return np.asarray(signals[self._signal], dtype=np.float64)
