"""Contrastive active learning: rows that look like their neighbours and are predicted differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from hf_select.errors import ConfigError
from hf_select.methods.base import Exclusions, Family, Method, Picks, Scores, Task, top_k
from hf_select.methods.field import require_choice, require_whole
from hf_select.methods.representativeness.neighbour import nearest
from hf_select.methods.representativeness.unit_vector import unit
from hf_select.methods.uncertainty.probability import class_probabilities
from hf_select.signals.keys import CLASS_PROBABILITIES, PENULTIMATE_STATE, Floats, Indices, Mask, Signal
from hf_select.signals.table import Signals

_LEAST = 1e-12  # probabilities are raised to this, so that no divergence is infinite
_CHUNK_VALUES = 1 << 22


@dataclass(frozen=True)
class Contrastive(Method):
    """Mean divergence of a row's prediction from those of its nearest labelled rows.

    ``score_i = mean over neighbours j of KL(p_j || p_i)``, neighbours by Euclidean distance of the unit vectors
    ``h_i / ||h_i||``; equal distances go to the lower row id.

    Attributes:
        n_neighbours: nearest reference rows of each row; all of them where there are fewer.
        reference: where neighbours come from: ``"labelled"`` rows (``signals.labelled``), as published; the rest of
            the eligible ``"pool"``; or ``"auto"``: the labelled rows where there are any, else the pool.

    Needs:
        ``class_probabilities`` and ``penultimate_state``.

    Higher means:
        Predicted less like its neighbours, kept first.

    Fails when:
        States near each other do not mean the same: with an untrained head neighbours are arbitrary. Against the pool,
        outliers with a prediction of their own come first.

    Cost:
        One forward pass. O(N L D) for exact neighbours among ``L`` labelled rows, O(N^2 D) in the pool.

    Source:
        Margatina et al. 2021 (CAL, algorithm 1).

    Differs from the source:
        Without labelled rows, where the source is undefined, the rest of the pool takes their place.
    """

    name = "contrastive"
    family = Family.REPRESENTATIVENESS
    citation = "Margatina et al. 2021, CAL, arXiv:2109.03764"
    tasks = frozenset({Task.CLASSIFICATION})
    unsuited: ClassVar[Mapping[Task, str]] = {
        Task.CAUSAL_LM: "neighbouring rows have different prompts, so their tokens do not align and their predictions "
        "cannot be compared; take 'badge' or 'entropy'."
    }

    n_neighbours: int = 10
    reference: Literal["auto", "labelled", "pool"] = "auto"

    def __post_init__(self) -> None:
        require_whole("n_neighbours", self.n_neighbours)
        require_choice("reference", self.reference, ("auto", "labelled", "pool"))

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """What the model says of a row, and from what."""
        return frozenset({CLASS_PROBABILITIES, PENULTIMATE_STATE})

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows without a prediction."""
        return {"no finite prediction": ~_predicted(signals)}

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:  # noqa: ARG002
        """The ``k`` rows with the highest divergence; ties go to the lower row id."""
        states, labelled = signals[PENULTIMATE_STATE], self._labelled(signals)
        if len(labelled):
            n_neighbours = min(self.n_neighbours, len(labelled))
            neighbours = labelled[nearest_of(unit(states[labelled]), unit(states[rows]), n_neighbours)]
        elif len(rows) > 1:
            neighbours = rows[nearest(unit(states[rows]), min(self.n_neighbours, len(rows) - 1), "euclidean")]
        else:
            neighbours = rows[:, None]  # a row alone differs from nothing
        scores = np.full(signals.n_rows, np.nan)
        scores[rows] = divergence(signals[CLASS_PROBABILITIES], rows, neighbours)
        return top_k(scores, rows, k)

    def _labelled(self, signals: Signals) -> Indices:
        """Row ids of the labelled rows to compare with; none for the pool."""
        none = np.empty(0, dtype=np.int64)
        if self.reference == "pool":
            return none
        found = none if signals.labelled is None else np.flatnonzero(signals.labelled & _predicted(signals))
        if self.reference == "labelled" and not len(found):
            raise ConfigError(
                f"{self.name!r} with reference='labelled' compares rows with labelled ones and there are none with a "
                f"prediction; give labelled=, or reference='pool' to compare them with each other."
            )
        return found


def _predicted(signals: Signals) -> Mask:
    """Rows with a finite prediction: ``(N,)`` bool."""
    parts = [np.isfinite(signals[part]).all(axis=1) for part in (CLASS_PROBABILITIES, PENULTIMATE_STATE)]
    return np.asarray(np.logical_and.reduce(parts))


def nearest_of(points: Floats, queries: Floats, n_neighbours: int) -> Indices:
    """The nearest points of each query by Euclidean distance; of equally near ones the lower positions.

    Args:
        points: ``(L, D)``; equal points are equally near, whatever rounding does.
        queries: ``(M, D)``.
        n_neighbours: how many per query, at most ``L``.

    Returns:
        ``(M, n_neighbours)`` positions, ascending.
    """
    distinct, which = np.unique(points, axis=0, return_inverse=True)
    squared_norms = np.square(distinct).sum(axis=1)
    found = np.empty((len(queries), n_neighbours), dtype=np.int64)
    step = max(1, _CHUNK_VALUES // len(points))
    for start in range(0, len(queries), step):
        here = slice(start, start + step)
        distances = (squared_norms - 2.0 * queries[here] @ distinct.T)[:, which.ravel()]
        last = np.partition(distances, n_neighbours - 1, axis=1)[:, n_neighbours - 1, None]
        nearer, level = distances < last, distances == last
        level &= np.cumsum(level, axis=1) <= n_neighbours - nearer.sum(axis=1, keepdims=True)
        found[here] = np.nonzero(nearer | level)[1].reshape(-1, n_neighbours)
    return found


def divergence(probabilities: Floats, rows: Indices, neighbours: Indices) -> Scores:
    """Mean divergence of predictions from those of neighbours, ``mean_j KL(p_j || p_i)``.

    Args:
        probabilities: ``(N, C)``.
        rows: ``(M,)`` positions.
        neighbours: ``(M, K)`` positions of their neighbours.

    Returns:
        ``(M,)`` nats.
    """
    clamped = np.maximum(class_probabilities(probabilities), _LEAST)
    log = np.log(clamped)
    total = np.zeros(len(rows))
    for column in neighbours.T:
        total += (clamped[column] * (log[column] - log[rows])).sum(axis=1)
    return np.asarray(total / neighbours.shape[1])
