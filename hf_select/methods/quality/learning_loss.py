"""Learning loss: rows whose loss a trained head predicts to be large, where no label tells the loss itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hf_select.methods.base import Family, Scorer, Scores, Task
from hf_select.signals.keys import PREDICTED_LOSS, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class LearningLoss(Scorer):
    """The loss that a small head on the model's hidden states predicts for a row without its label.

    Needs:
        ``predicted_loss``.

    Higher means:
        The model is expected to be more wrong, kept first. The head learns the order of losses, so that neither the
        scale nor the zero of a score has a meaning.

    Fails when:
        Few labelled rows taught the head, or they are unlike the pool; rows that cannot be told at all (noise, wrong
        form) are predicted a large loss as well.

    Cost:
        One forward pass; the head is trained on the labelled rows before.

    Source:
        Yoo and Kweon 2019.

    Differs from the source:
        All candidates are ranked; the source ranks a random subset of the pool in each cycle
        (``cascade`` with ``"random:10000 > learning_loss"`` does that).
    """

    name = "learning_loss"
    family = Family.QUALITY
    citation = "Yoo and Kweon 2019, arXiv:1905.03677"
    tasks = frozenset({Task.CLASSIFICATION})
    unsuited: ClassVar[Mapping[Task, str]] = {
        Task.CAUSAL_LM: "where the rows have responses, the true loss is one forward pass away; take 'loss'."
    }

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The predicted loss."""
        return frozenset({PREDICTED_LOSS})

    def score(self, signals: Signals) -> Scores:
        """Predicted loss."""
        return np.asarray(signals[PREDICTED_LOSS], dtype=np.float64)
