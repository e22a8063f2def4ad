"""LESS: rows whose optimiser update points where the gradient of a reference task points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Family, Scorer, Scores
from hf_select.methods.field import require_choice
from hf_select.signals.keys import Floats, Signal, less_influence
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class LESS(Scorer):
    """Low-rank gradient similarity search: how well a step on the row would serve the best-served reference task.

    ``score_i = max_t sum_c w_c cos(update_c(row i), gradient_c(task t))``, over checkpoints ``c`` of a warm-up run with
    weights ``w_c`` (mean learning rate of the epoch, adding up to 1)

    Attributes:
        update: what the row would do: ``"adam"``, a step of Adam with the moments of the checkpoint, or ``"sgd"``, its
            plain gradient.
        aggregation: over the rows of a reference task: ``"mean_of_cosines"`` (the published code), or
            ``"cosine_of_mean"``, the cosine to their mean gradient (the paper).
        eps: epsilon of Adam ``"inside"`` the root (the published code) or ``"outside"`` (Adam itself); inside, updates
            of tiny gradients are damped.
        bias_correction: whether the moments are divided by ``1 - beta ** step``, as Adam does.

    Needs:
        ``less_influence_aggregation_mean_of_cosines_bias_correction_False_eps_inside_update_adam``, a signal with one
        column per reference task, and a reference set; other fields are another signal.

    Higher means:
        Closer in direction, kept first: 1 is the direction of the task's gradient itself, below 0 a step on the row
        would raise the loss of every task.

    Fails when:
        The reference rows are few or unlike what is meant to improve, the warm-up run has not settled, or rows are
        short: their gradients are long, and one token decides their direction.

    Cost:
        One backward pass per row and checkpoint; O(N T) to rank by T tasks.

    Source:
        Xia et al. 2024 (LESS), and its code ``less/data_selection``.

    Differs from the source:
        Cosines are exact where the source projects gradients at random; the constants of Adam come from the optimiser
        of the checkpoint instead of being fixed. A row without a finite cosine to any one task is not eligible.
    """

    name = "less"
    family = Family.QUALITY
    citation = "Xia et al. 2024, arXiv:2402.04333"

    update: Literal["adam", "sgd"] = "adam"
    aggregation: Literal["mean_of_cosines", "cosine_of_mean"] = "mean_of_cosines"
    eps: Literal["inside", "outside"] = "inside"
    bias_correction: bool = False

    def __post_init__(self) -> None:
        require_choice("update", self.update, ("adam", "sgd"))
        require_choice("aggregation", self.aggregation, ("mean_of_cosines", "cosine_of_mean"))
        require_choice("eps", self.eps, ("inside", "outside"))
        require_choice("bias_correction", self.bias_correction, (False, True))

    @property
    def influence(self) -> Signal[Floats]:
        """The cosine with each reference task, ``(N, T)``."""
        return less_influence(self.update, self.aggregation, self.eps, self.bias_correction)

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The cosine with each reference task."""
        return frozenset({self.influence})

    @property
    def needs_reference(self) -> bool:
        """True: the pass reads the reference rows, the method only what came of them."""
        return True

    def score(self, signals: Signals) -> Scores:
        """The largest cosine over the reference tasks."""
        cosines = np.asarray(signals[self.influence], dtype=np.float64)
        return np.where(np.isfinite(cosines).all(axis=1), cosines.max(axis=1), np.nan)
