"""Methods with demands that few have: a second stage of reading, reference rows, labelled rows, a draft model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hf_select.methods import Family, Method, Scorer, Task, top_k
from hf_select.methods.base import Want
from hf_select.signals.keys import RESPONSE_NLL, TEXT_LENGTH, demonstrated_mutual_information, effort, less_influence


@dataclass(frozen=True)
class TwoStage(Method):
    """The hardest of the longest rows: the model reads the longer half alone."""

    name = "two_stage"
    family = Family.MIXED
    citation = ""

    @property
    def needs(self):
        return frozenset({TEXT_LENGTH, RESPONSE_NLL})

    @property
    def needs_at_first(self):
        return frozenset({TEXT_LENGTH})

    def wants(self, signals, k, rng):
        if RESPONSE_NLL in signals:
            return None
        longest = np.argsort(-signals[TEXT_LENGTH], kind="stable")[: signals.n_rows // 2]
        return Want(frozenset({RESPONSE_NLL}), np.sort(longest))

    def choose(self, signals, rows, k, rng):
        read = rows[np.isfinite(signals[RESPONSE_NLL][rows])]
        return top_k(signals[RESPONSE_NLL], read, min(k, len(read)))


@dataclass(frozen=True)
class Aimed(Scorer):
    """Rows as long as the reference rows."""

    name = "aimed"
    family = Family.MIXED
    citation = ""

    @property
    def needs(self):
        return frozenset({TEXT_LENGTH})

    @property
    def reference_needs(self):
        return frozenset({TEXT_LENGTH})

    def score(self, signals):
        aims = [float(np.mean(reference[TEXT_LENGTH])) for reference in signals.reference.values()]
        return -np.min([np.abs(signals[TEXT_LENGTH] - aim) for aim in aims], axis=0).astype(float)


@dataclass(frozen=True)
class _Reads(Scorer):
    """A score that is one signal."""

    family = Family.MIXED
    citation = ""
    signal = TEXT_LENGTH

    @property
    def needs(self):
        return frozenset({self.signal})

    def score(self, signals):
        return np.asarray(signals[self.signal], float)


class Demonstrated(_Reads):
    name, signal = "demonstrated", demonstrated_mutual_information(2, 1)


class Drafted(_Reads):
    name, signal = "drafted", effort("norm", "draft")


class Updated(_Reads):
    name, signal = "updated", less_influence()

    @property
    def needs_reference(self):
        return True


class CausalAlone(_Reads):
    name = "causal_alone"
    tasks = frozenset({Task.CAUSAL_LM})
    unsuited: ClassVar = {Task.CLASSIFICATION: "they have no response; take 'random'."}


ALL = (TwoStage, Aimed, Demonstrated, Drafted, Updated)
