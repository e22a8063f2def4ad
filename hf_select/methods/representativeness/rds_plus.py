"""RDS+: rows whose representation is nearest to those of the reference rows, which choose in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hf_select.errors import ConfigError
from hf_select.methods.base import Exclusions, Family, Method, Picks, Scores, top_k
from hf_select.methods.field import require_choice
from hf_select.methods.representativeness.unit_vector import unit
from hf_select.signals.keys import PENULTIMATE_STATE, WEIGHTED_STATE, Floats, Indices, Mask, Signal
from hf_select.signals.table import Signals

_CHUNK_VALUES = 1 << 22


@dataclass(frozen=True)
class RDSPlus(Method):
    """Cosine of representations; each reference row in turn takes its nearest row that is not taken yet.

    ``s_iq = cos(h_i, h_q)``, ``h = sum_t t x_t / sum_t t`` over the last hidden states ``x_1..x_T`` of the whole row.

    Attributes:
        task: ``"causal_lm"`` takes that weighted mean, ``"classification"`` the input of the last layer.
        aggregate: ``"round_robin"`` as published, reference rows of all tasks in their order; or top ``k`` by the
            ``"mean"`` (over tasks of the mean over their rows) or the ``"max"`` of the cosines.

    Needs:
        ``weighted_state``, with ``task="classification"`` ``penultimate_state``; the same of the reference rows.

    Higher means:
        Nearer to the reference row that took it. With ``"round_robin"`` scores fall only along the picks of one
        reference row.

    Fails when:
        The reference rows are few or odd: each of them draws its share, whether or not the pool has anything like it.

    Cost:
        One forward pass over rows and reference rows. O(N Q D) for ``Q`` reference rows, O(N Q) memory.

    Source:
        Ivison et al. 2025.

    Differs from the source:
        Padding does not enter the mean (the source runs at batch size 1). Cosines are compared in float32, so that
        equal rows tie, and ties go to the lower row id.
    """

    name = "rds_plus"
    family = Family.REPRESENTATIVENESS
    citation = "Ivison et al. 2025, arXiv:2503.01807"

    task: Literal["causal_lm", "classification"] = "causal_lm"
    aggregate: Literal["round_robin", "mean", "max"] = "round_robin"

    def __post_init__(self) -> None:
        require_choice("task", self.task, ("causal_lm", "classification"))
        require_choice("aggregate", self.aggregate, ("round_robin", "mean", "max"))

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The representation of the row."""
        return frozenset({self._state})

    @property
    def reference_needs(self) -> frozenset[Signal[Any]]:
        """The representation of the reference rows."""
        return self.needs

    @property
    def _state(self) -> Signal[Floats]:
        return WEIGHTED_STATE if self.task == "causal_lm" else PENULTIMATE_STATE

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows without a representation."""
        return {"no finite state": ~self._finite(signals)}

    def _finite(self, signals: Signals) -> Mask:
        return np.asarray(np.isfinite(signals[self._state]).all(axis=1))

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:  # noqa: ARG002
        """The ``k`` rows that the reference rows choose."""
        states = signals[self._state][rows]
        by_task = [cosines(queries, states) for queries in self._queries(signals)]
        if self.aggregate == "round_robin":
            found, scores = round_robin(np.concatenate(by_task), k)
            return Picks(rows[found], scores)
        if self.aggregate == "mean":
            scores = np.mean([task.mean(axis=0, dtype=np.float64) for task in by_task], axis=0)
        else:
            scores = np.concatenate(by_task).max(axis=0).astype(np.float64)
        best = top_k(scores, np.arange(len(rows)), k)
        return Picks(rows[best.indices], best.scores)

    def _queries(self, signals: Signals) -> list[Floats]:
        """For each task the representations of its rows."""
        if not signals.reference:
            raise ConfigError(
                f"{self.name!r} compares rows with a reference set and none came; give reference=, for example "
                f"validation rows."
            )
        tasks = {task: there[self._state][self._finite(there)] for task, there in signals.reference.items()}
        for task, states in tasks.items():
            if not len(states):
                raise ConfigError(
                    f"No reference row of task {task!r} has a finite {self._state.name}; give {self.name!r} rows that "
                    f"the model can read."
                )
        return list(tasks.values())


def cosines(queries: Floats, states: Floats) -> Floats:
    """Cosines of queries with rows, computed in float64 and rounded to float32.

    Args:
        queries: ``(Q, D)``.
        states: ``(M, D)``.

    Returns:
        ``(Q, M)`` float32.
    """
    aims = unit(queries)
    found = np.empty((len(queries), len(states)), dtype=np.float32)
    step = max(1, _CHUNK_VALUES // states.shape[1])
    for start in range(0, len(states), step):
        here = slice(start, start + step)
        found[:, here] = aims @ unit(states[here]).T
    return found


def round_robin(similarities: Floats, k: int) -> tuple[Indices, Scores]:
    """Let queries take rows in turn, each the most similar that is left; ties go to the lower position.

    Args:
        similarities: ``(Q, M)``; overwritten.
        k: how many to take, at most ``M``.

    Returns:
        ``(k,)`` positions and ``(k,)`` similarities to the query that took them.
    """
    taken = np.empty(k, dtype=np.int64)
    scores = np.empty(k)
    for turn in range(k):
        query = turn % len(similarities)
        here = int(np.argmax(similarities[query]))
        taken[turn], scores[turn] = here, similarities[query, here]
        similarities[:, here] = -np.inf
    return taken, scores
