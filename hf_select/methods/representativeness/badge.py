"""BADGE: rows whose gradients are long and point in different directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Exclusions, Family, Method, Picks
from hf_select.methods.field import require_choice
from hf_select.methods.representativeness.k_means_plus_plus import Points, k_means_plus_plus
from hf_select.methods.uncertainty.probability import class_probabilities
from hf_select.signals.keys import CLASS_PROBABILITIES, GRADIENT_SKETCH, PENULTIMATE_STATE, Floats, Indices, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class BADGE(Method):
    """The start of k-means++ on the gradients of the last layer at the model's own answer.

    Classification: ``g_i = (p_i - onehot(argmax p_i)) (x) h_i``. The row with the longest gradient is first; every next
    row is drawn with probability ``D_i^2 / sum_j D_j^2``, ``D_i`` = distance of its gradient to that of the nearest
    pick.

    Attributes:
        task: ``"causal_lm"`` takes the sketch of the head's gradient at the model's own tokens, ``"classification"``
            the probabilities and the input of the last layer.

    Needs:
        ``gradient_sketch``; with ``task="classification"`` ``class_probabilities`` and ``penultimate_state``.

    Higher means:
        Farther from every earlier pick when it was drawn (the first: the longest). Picks are drawn, so that scores are
        in no order.

    Fails when:
        The model is sure of everything, and wrong: then all gradients are short. Wrong labels and noise have long ones.

    Cost:
        One forward pass. O(N k (C + D)) time and O(N (C + D)) memory: the gradients with C D numbers each are never
        formed.

    Source:
        Ash et al. 2020 (algorithm 1).

    Differs from the source:
        The order of picks is kept. Where every row that is left equals a pick, the lowest row id is next (the source
        divides by zero). There is no reference for causal LMs: the sketch, which keeps inner products in expectation,
        is ours.
    """

    name = "badge"
    family = Family.REPRESENTATIVENESS
    citation = "Ash et al. 2020, BADGE, arXiv:1906.03671"

    task: Literal["causal_lm", "classification"] = "causal_lm"

    def __post_init__(self) -> None:
        require_choice("task", self.task, ("causal_lm", "classification"))

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """What the gradients are made of."""
        return frozenset(self._parts)

    @property
    def _parts(self) -> tuple[Signal[Floats], ...]:
        if self.task == "causal_lm":
            return (GRADIENT_SKETCH,)
        return (CLASS_PROBABILITIES, PENULTIMATE_STATE)

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows without a gradient."""
        finite = [np.isfinite(signals[part]).all(axis=1) for part in self._parts]
        return {"no finite gradient": np.logical_not(np.logical_and.reduce(finite))}

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The ``k`` rows in the order of drawing."""
        factors: list[Floats] = [signals[part][rows] for part in self._parts]
        if self.task == "classification":
            factors[0] = output_gradients(class_probabilities(factors[0]))
        positions, distances = k_means_plus_plus(Points(factors), k, rng)
        return Picks(rows[positions], distances)


def output_gradients(probabilities: Floats) -> Floats:
    """Gradient of the loss by the logits, at the most likely class as the label: ``p - onehot(argmax p)``.

    Args:
        probabilities: ``(N, C)``.

    Returns:
        ``(N, C)``; of classes that are equally likely the first is the label.
    """
    gradients = np.array(probabilities)
    gradients[np.arange(len(gradients)), probabilities.argmax(axis=1)] -= 1.0
    return gradients
