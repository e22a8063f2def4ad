"""DIScore: rows on which one optimiser step lowers the loss of the reference tasks most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.errors import ConfigError
from hf_select.methods.base import Exclusions, Family, Method, Picks, Scores, top_k
from hf_select.methods.field import require_choice, require_positive
from hf_select.signals.keys import Floats, Indices, Mask, Signal, one_step_influence
from hf_select.signals.table import Signals

_ENGINES = ("exact", "linear", "finite_difference", "anchored", "curved_16", "curved_64", "plain", "oracle")
_AGGREGATES = ("mean", "mean_z", "min", "max", "round_robin")


@dataclass(frozen=True)
class DIScore(Method):
    """Data influence score: how far one step of the optimiser on the row alone brings the loss of each task down.

    ``influence_it = L_t(theta) - L_t(A(theta, row i))``, ``A`` one step of the optimiser with its state, ``L_t`` the
    mean loss of the reference rows of task ``t``

    Attributes:
        engine: how the influence is computed: ``"exact"``, the optimiser's own update of the row times the gradient of
            the task, right to first order of the learning rate; ``"linear"``, cheaper for one or two tasks, holds
            Adam's denominator still; ``"finite_difference"``, that by two forward passes for each task, without a
            backward pass (needs ``max_norm=None``); ``"anchored"``, gradients of the tasks where the mean step leads,
            for large learning rates; ``"curved_16"`` and ``"curved_64"``, that with so many eigenpairs of each task's
            Hessian, for learning rates at which the loss bends within a step; ``"plain"``, product of gradients, which
            needs no optimiser; ``"oracle"``, takes each step and measures, the definition, hundreds of times the cost.
        learning_rate: of the step; ``None`` for what the optimiser is at.
        max_norm: norm that the row's gradient is clipped to, as the ``Trainer`` does; ``None`` for no clipping.
        aggregate: over the tasks: ``"mean"``, ``"min"``, ``"max"``; ``"mean_z"`` puts every task on one scale over the
            eligible rows first; ``"round_robin"`` lets the tasks take turns, each taking its best row that is left.
        rule: ``"top"`` picks the highest; ``"gumbel"`` draws without replacement, with probabilities that follow the
            exponential of the standardised score over ``temperature``; ``"drop_harmful"`` first leaves out rows that
            lie a standard deviation or more below the mean at both of the last two checkpoints (with a budget of 100 %
            nothing else).
        temperature: of ``rule="gumbel"``; small picks the highest, large draws evenly.

    Needs:
        ``one_step_influence_engine_exact_learning_rate_None_max_norm_1.0``, a signal with one column per reference
        task, and a reference set; other fields are another signal. All engines but ``"plain"`` need the optimiser:
        ``companions={"optimizer": ...}``, or ``{"checkpoints": [...]}``, whose last is taken; in a
        ``SelectionCallback`` it is there.

    Higher means:
        One step lowers the loss more, in nats; below 0 it does harm. Of ``"mean_z"`` and ``"gumbel"``: in standard
        deviations, ``"gumbel"`` over ``temperature`` and with noise.

    Fails when:
        The learning rate is so large that curvature decides and ``engine`` does not know it
        (``hf_select.signals.gradients.calibration.calibrate`` asks the oracle), the reference rows are so few that
        other ones would rank differently, or many rows help in the same way: each is judged alone, so picks repeat
        themselves.

    Cost:
        One backward pass per row, and one per reference row; with ``"oracle"`` also a float64 forward pass of all
        reference rows for each row, and the memory of three times the weights; with ``"curved_k"`` also 2 k backward
        passes of all reference rows, once, and the memory of k T times the weights; with ``"finite_difference"`` 2 T
        forward passes per row instead. O(N T) to rank by T tasks.

    Source:
        Xing et al. 2026 (DIScore), equation 1; its settings are those of MATES (Yu et al. 2024).

    Differs from the source:
        The source takes every step from a checkpoint that it reads from disk each time, and trains a predictor of the
        outcome for the other rows; here all rows have their own first-order influence, and ``"oracle"`` is the source's
        definition with float32 weights and, where the device has it, losses read in float64. ``"gumbel"`` takes the
        largest of score plus noise, where MATES takes the smallest of loss plus noise, which is another law.
    """

    name = "discore"
    family = Family.QUALITY
    citation = "Xing et al. 2026, arXiv:2604.07769"

    engine: Literal["exact", "linear", "finite_difference", "anchored", "curved_16", "curved_64", "plain", "oracle"] = (
        "exact"
    )
    learning_rate: float | None = None
    max_norm: float | None = 1.0
    aggregate: Literal["mean", "mean_z", "min", "max", "round_robin"] = "mean"
    rule: Literal["top", "gumbel", "drop_harmful"] = "top"
    temperature: float = 0.5

    def __post_init__(self) -> None:
        require_choice("engine", self.engine, _ENGINES)
        if self.learning_rate is not None:
            require_positive("learning_rate", self.learning_rate)
        if self.max_norm is not None:
            require_positive("max_norm", self.max_norm)
        require_choice("aggregate", self.aggregate, _AGGREGATES)
        require_choice("rule", self.rule, ("top", "gumbel", "drop_harmful"))
        require_positive("temperature", self.temperature)
        if self.engine == "plain" and self.learning_rate is not None:
            raise ConfigError(
                f"learning_rate={self.learning_rate} does nothing with engine='plain', the product of gradients; leave "
                f"one out."
            )
        if self.engine == "finite_difference" and self.max_norm is not None:
            raise ConfigError(
                f"max_norm={self.max_norm}: engine='finite_difference' does not form the gradients that clipping "
                f"measures. Give max_norm=None, or use engine='linear'."
            )
        if self.rule != "top" and self.aggregate == "round_robin":
            raise ConfigError(
                f"rule={self.rule!r} goes by one score of each row, and aggregate='round_robin' has none; use 'mean_z'."
            )

    @property
    def influence(self) -> Signal[Floats]:
        """How much one step lowers the loss of each reference task, ``(N, T)``."""
        return one_step_influence(self.engine, self.learning_rate, self.max_norm, self._n_checkpoints)

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The influence on each reference task."""
        return frozenset({self.influence})

    @property
    def needs_reference(self) -> bool:
        """True: the pass reads the reference rows, the method only what came of them."""
        return True

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows without a finite influence on every task, and those that ``rule="drop_harmful"`` leaves out."""
        lacking: Mask = np.logical_not(np.isfinite(signals[self.influence]).all(axis=1))
        if self.rule != "drop_harmful":
            return {"no finite influence": lacking}
        return {"no finite influence": lacking, "harmful at both checkpoints": self._harmful(signals, ~lacking)}

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The ``k`` eligible rows with the highest score, by turns, or drawn; ties go to the lower row id."""
        influence = self._by_checkpoint(signals)[rows, -1]
        if self.aggregate == "round_robin":
            return in_turns(influence, rows, k)
        score = self._aggregated(influence)
        if self.rule == "gumbel":
            score = gumbel_keys(standardised(score), self.temperature, rng)
        places, scores = top_k(score, np.arange(len(rows)), k)
        return Picks(rows[places], scores)

    @property
    def _n_checkpoints(self) -> int:
        return 2 if self.rule == "drop_harmful" else 1

    def _by_checkpoint(self, signals: Signals) -> Scores:
        """``(N, C, T)``, the oldest checkpoint first."""
        values = np.asarray(signals[self.influence], dtype=np.float64)
        return values.reshape(len(values), self._n_checkpoints, -1)

    def _harmful(self, signals: Signals, may_be_picked: Mask) -> Mask:
        """``(N,)`` rows a standard deviation or more below the mean of all eligible rows, at every checkpoint."""
        if signals.candidates is not None:
            may_be_picked = may_be_picked & signals.candidates
        if signals.labelled is not None:
            may_be_picked = may_be_picked & ~signals.labelled
        harmful = np.zeros(signals.n_rows, dtype=bool)
        if may_be_picked.any():
            influence = self._by_checkpoint(signals)[may_be_picked]
            scores = [standardised(self._aggregated(at)) for at in influence.transpose(1, 0, 2)]
            harmful[may_be_picked] = (np.asarray(scores) <= -1).all(axis=0)
        return harmful

    def _aggregated(self, influence: Scores) -> Scores:
        """``(M,)`` one score for each eligible row."""
        if self.aggregate == "mean_z":
            return np.asarray(np.mean([standardised(of_task) for of_task in influence.T], axis=0))
        return np.asarray(getattr(influence, self.aggregate)(axis=1))


def standardised(scores: Scores) -> Scores:
    """Scores less their mean, in standard deviations of all of them.

    Args:
        scores: ``(M,)``.

    Returns:
        ``(M,)``; 0 where all are equal.
    """
    if not np.ptp(scores):
        return np.zeros_like(scores)
    return np.asarray((scores - scores.mean()) / scores.std())


def gumbel_keys(scores: Scores, temperature: float, rng: np.random.Generator) -> Scores:
    """Keys whose ``k`` largest are a draw without replacement from ``softmax(scores / temperature)``.

    Args:
        scores: ``(M,)``.
        temperature: above 0.
        rng: where the noise comes from.

    Returns:
        ``(M,)``.

    Source:
        Kool et al. 2019, Gumbel top-k.
    """
    return scores / temperature + rng.gumbel(size=len(scores))


def in_turns(influence: Scores, rows: Indices, k: int) -> Picks:
    """The tasks take turns, in their order, and each takes its best row that is left.

    Args:
        influence: ``(M, T)`` finite.
        rows: ``(M,)`` their row ids, ascending.
        k: how many to pick, at most ``M``.

    Returns:
        The picks, with the influence on the task that took them.
    """
    orders = np.argsort(-influence, axis=0, kind="stable")
    heads = np.zeros(influence.shape[1], dtype=np.int64)
    taken = np.zeros(len(rows), dtype=bool)
    places: Indices = np.empty(k, dtype=np.int64)
    for turn in range(k):
        task = turn % influence.shape[1]
        while taken[orders[heads[task], task]]:
            heads[task] += 1
        places[turn] = orders[heads[task], task]
        taken[places[turn]] = True
    return Picks(rows[places], influence[places, np.arange(k) % influence.shape[1]])
