"""Cascade: cheap methods cut the pool, so that costly ones read only the rows that are left."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from hf_select.methods.base import Exclusions, Family, Method, Picks, Task, Want
from hf_select.methods.field import require_choice, require_text
from hf_select.methods.stage import Stage, parse_stages
from hf_select.signals.keys import Indices, Signal
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class Cascade(Method):
    """Methods one after another: each stage picks among the rows that the stage before it kept.

    ``"length:50% > entropy:20% > badge"`` keeps the longest half of the candidates, of these the 20% of all candidates
    with the highest entropy, and lets BADGE pick among those. The costly signals of a stage are read for the rows that
    reach it (and for labelled rows, which some methods look at).

    Attributes:
        stages: methods from first to last with ``>`` between them, each with its fields in brackets and, but for the
            last, what it keeps after a colon: rows (``5000``), a fraction of the candidates (``20%``), or a multiple
            of the picks (``5x``); rows that are not there are not kept, and fewer than the picks are refused.
        task: kind of the model, handed to the stages that have such a field.

    Needs:
        What its stages need; by default ``text_length``, and ``embedding`` of the rows that are left.

    Higher means:
        What it means in the last stage; its order is kept.

    Fails when:
        A cheap stage drops what a costly one would have picked: a cascade is never better informed than its first cut.

    Cost:
        That of its stages, each on the rows that reach it. To find those rows the earlier stages are run again before
        each new reading, so the cheapest belongs first.

    Source:
        Common practice: Zhdanov 2019 clusters only the most uncertain rows, Yoo and Kweon 2019 rank a random subset.

    Differs from the source:
        Any methods can be stages. If a stage excludes so many rows that too few are left, the picks go on with the
        best rows of the stage before it, and a warning says how many.
    """

    name = "cascade"
    family = Family.MIXED
    citation = ""
    ordered = False

    stages: str = "length:5x > core_set"
    task: Literal["causal_lm", "classification"] = "causal_lm"

    def __post_init__(self) -> None:
        require_text("stages", self.stages)
        require_choice("task", self.task, [task.value for task in Task])
        parse_stages(self.stages)

    @cached_property
    def steps(self) -> tuple[tuple[Stage, Method], ...]:
        """The stages with their methods; ``TaskError`` if one is not sound for ``task``."""
        return tuple((stage, stage.method_for(Task(self.task))) for stage in parse_stages(self.stages))

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """What any stage needs."""
        return frozenset(signal for _, method in self.steps for signal in method.needs)

    @property
    def needs_at_first(self) -> frozenset[Signal[Any]]:
        """What the first stage needs at first."""
        return self.steps[0][1].needs_at_first

    @property
    def reference_needs(self) -> frozenset[Signal[Any]]:
        """What any stage needs of the reference rows."""
        return frozenset(signal for _, method in self.steps for signal in method.reference_needs)

    @property
    def needs_reference(self) -> bool:
        """Whether any stage aims at a reference set."""
        return any(method.needs_reference for _, method in self.steps)

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows that the first stage may not pick; those of a later stage are known only when rows have reached it."""
        return self.steps[0][1].exclusions(signals)

    def wants(self, signals: Signals, k: int, rng: np.random.Generator) -> Want | None:
        """What the first stage that lacks a signal needs, for the rows that reach it and for the labelled rows."""
        read = frozenset(signals)
        if self.needs <= read:
            return None
        table = signals.with_values({signal: np.full(signals.n_rows, np.nan) for signal in self.needs - read})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the stages will warn again where it counts, in choose
            return self._next_want(table, read, min(k, len(self.steps[0][1].eligible(table))), rng)

    def _next_want(
        self, signals: Signals, read: frozenset[Signal[Any]], k: int, rng: np.random.Generator
    ) -> Want | None:
        n_candidates = _n_candidates(signals)
        for stage, method in self.steps:
            if missing := method.needs_at_first - read:
                return Want(missing, _visible(signals))
            n_kept = min(stage.n_kept(n_candidates, k), len(method.eligible(signals)))
            if n_kept == 0:
                return None
            if want := method.wants(signals.only(read, method.reference_needs), n_kept, copy.deepcopy(rng)):
                return want
            signals = _among(signals, method.pick(signals, n_kept, rng).indices)
        return None

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The picks of the last stage; where they are too few, rows that the stages before it kept."""
        n_candidates = _n_candidates(signals)
        kept: list[Picks] = []
        for stage, method in self.steps:
            n_kept = min(stage.n_kept(n_candidates, k), len(method.eligible(signals)))
            kept.append(method.pick(signals, n_kept, rng) if n_kept else Picks(rows[:0], np.empty(0)))
            signals = _among(signals, kept[-1].indices)
        n_picked = len(kept[-1].indices)
        if n_picked < k:
            warnings.warn(
                f"{self.name}: the stage {stage.text!r} can pick only {n_picked} of {k} rows; the other "
                f"{k - n_picked} are the best rows of the stages before it.",
                stacklevel=3,
            )
        return _first_distinct(kept[::-1], k)


def _first_distinct(runs: Sequence[Picks], k: int) -> Picks:
    """The first ``k`` rows of several picks in a row, each row once."""
    indices, scores = np.concatenate([run.indices for run in runs]), np.concatenate([run.scores for run in runs])
    _, places = np.unique(indices, return_index=True)
    order = np.sort(places)[:k]
    return Picks(indices[order], scores[order])


def _n_candidates(signals: Signals) -> int:
    return signals.n_rows if signals.candidates is None else int(signals.candidates.sum())


def _visible(signals: Signals) -> Indices:
    """Rows that a method looks at: candidates and labelled rows, ascending."""
    seen = np.ones(signals.n_rows, dtype=bool) if signals.candidates is None else signals.candidates
    return np.flatnonzero(seen if signals.labelled is None else seen | signals.labelled)


def _among(signals: Signals, rows: Indices) -> Signals:
    """The same signals with other candidates."""
    candidates = np.zeros(signals.n_rows, dtype=bool)
    candidates[rows] = True
    values = {signal: signals[signal] for signal in signals}
    return Signals(
        values, candidates=candidates, labelled=signals.labelled, reference=signals.reference, n_rows=signals.n_rows
    )
