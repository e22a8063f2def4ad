"""Influence predictor: rows that an encoder expects to lower the loss of the reference tasks, by their text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Family, Scorer, Scores
from hf_select.methods.discore import DIScore
from hf_select.methods.field import require_whole
from hf_select.signals.keys import Floats, Signal, predicted_influence
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class InfluencePredictor(Scorer):
    """The influence that an encoder predicts for a row, having learned that of few rows from their text.

    ``score_i = Linear(mean token state of row i)``, fitted to the mean over the tasks of ``discore``'s influence

    Attributes:
        engine: how the influence of the few rows is computed; see ``discore``. ``"oracle"`` is the source's.
        learning_rate: of the step; ``None`` for what the optimiser is at.
        max_norm: norm that a row's gradient is clipped to; ``None`` for no clipping.
        n_labelled: rows whose influence is computed, at most; no more than a fifth of the pool either, but at least 50.

    Needs:
        ``predicted_influence_engine_exact_learning_rate_None_max_norm_1.0_n_labelled_2000`` and a reference set; other
        fields are another signal. The optimiser comes as in ``discore``; ``companions={"encoder": ...}`` is the encoder
        (RoBERTa or BERT in the sources; a Hub id, a path, or ``(model, tokenizer)``), without it a small one is made
        from nothing.

    Higher means:
        One step is expected to lower the loss of the tasks more, in nats; the scale shrinks to the mean where the text
        tells little.

    Fails when:
        The text does not tell the influence, which is the rule: the source reports a rank correlation of at most 0.16.
        The correlation on held-out rows is logged and in the record of the selection, with a warning below 0.3.

    Cost:
        One backward pass for each of ``n_labelled`` rows and each reference row, the training of the encoder (5 epochs
        on them), and one forward pass of the encoder over all rows. Where the encoder is not far smaller than the
        model, ``discore`` costs about the same and predicts nothing.

    Source:
        Yu et al. 2024 (MATES), section 3; Xing et al. 2026 (DIScore), research question 4.

    Differs from the source:
        The influence of the sample is of first order unless ``engine="oracle"``; the best of 5 epochs is taken, not of
        every 20 steps; a fifth of the rows is the most that is labelled; the highest are picked, where MATES draws with
        Gumbel noise.
    """

    name = "influence_predictor"
    family = Family.QUALITY
    citation = "Yu et al. 2024, arXiv:2406.06046; Xing et al. 2026, arXiv:2604.07769"

    engine: Literal["exact", "linear", "finite_difference", "anchored", "curved_16", "curved_64", "plain", "oracle"] = (
        "exact"
    )
    learning_rate: float | None = None
    max_norm: float | None = 1.0
    n_labelled: int = 2000

    def __post_init__(self) -> None:
        DIScore(self.engine, self.learning_rate, self.max_norm)  # refuses what it cannot measure
        require_whole("n_labelled", self.n_labelled, 50)

    @property
    def influence(self) -> Signal[Floats]:
        """The predicted influence."""
        return predicted_influence(self.engine, self.learning_rate, self.max_norm, self.n_labelled)

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The predicted influence."""
        return frozenset({self.influence})

    @property
    def needs_reference(self) -> bool:
        """True: the pass reads the reference rows, the method only what came of them."""
        return True

    def score(self, signals: Signals) -> Scores:
        """Predicted influence."""
        return np.asarray(signals[self.influence], dtype=np.float64)
