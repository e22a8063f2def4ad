"""BatchBALD: rows about which the samples of a model disagree, and each about something else."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from hf_select.errors import BudgetError, ConfigError
from hf_select.methods.base import Exclusions, Family, Method, Picks, Scores, Task, top_k
from hf_select.methods.field import require_choice, require_positive, require_whole
from hf_select.methods.uncertainty.joint_information import most_informative_batch
from hf_select.methods.uncertainty.probability import class_probabilities, mutual_information
from hf_select.signals.keys import Indices, Signal, stochastic_probabilities
from hf_select.signals.table import Signals

_MIN_GAIN = 1e-6  # nats; what a row adds below that is not worth an order


@dataclass(frozen=True)
class BatchBALD(Method):
    """Rows whose labels together would tell most about the model: BALD without repeating itself.

    ``i_t = argmax_i I(y_1, ..., y_{t-1}, y_i; w)`` over ``S`` samples ``w`` of the model, which all rows share. ``S``
    samples cannot be told apart by more than ``ln S`` nats. When no row adds more than 1e-6 nats any more, the rest of
    the batch is filled by single-point mutual information, as in ``bald``, and a warning says so; another warns where
    ``ln S`` lies below what the picks would tell one by one.

    Attributes:
        n_samples: samples ``S`` of the model, at least 2; more of them tell more apart.
        n_configurations: most lists of labels of the picks that are kept. Gains are exact until ``C`` to the number of
            earlier picks exceeds it (the first 14 picks of 2 classes), and estimates from then on.
        max_batch: most picks; the method is made for small batches.
        fallback: ``None`` refuses more than ``max_batch`` picks; ``"power_bald"`` draws those beyond, and those after
            the last gain, without replacement with probability proportional to ``I ** beta``.
        beta: power of the single-point mutual information ``I`` in that draw; for ``fallback="power_bald"`` alone.

    Needs:
        ``stochastic_probabilities_n_samples_20`` (with the number of ``n_samples``), every sample of which is one model
        for all rows.

    Higher means:
        For picks in greedy order the nats that the row added when it was picked; their sum is the joint mutual
        information of the batch. For those that fill it up, the row's own mutual information, which may be larger.

    Fails when:
        The batch is large for the samples: once they are told apart, after some tens of picks, the rest is filled up.
        Where each row has dropout masks of its own, joint information means nothing.

    Cost:
        ``n_samples`` forward passes. O(N k M S C) for ``M`` configurations at most, far less where few rows compete;
        O(N S C + M S C) memory.

    Source:
        Kirsch et al. 2019 (BatchBALD); Kirsch et al. 2023 (power_bald).

    Differs from the source:
        20 samples, so that one stochastic pass serves ``bald`` and ``batch_bald``. Gains are computed as such, so that
        they cannot be negative, instead of as differences of entropies; beyond ``n_configurations`` the most probable
        configurations are kept and only the others are drawn, once per pick and not from scratch. Rows that cannot be
        the best are not looked at, ties go to the lower row id, and nothing is picked by noise after the last gain.
    """

    name = "batch_bald"
    family = Family.UNCERTAINTY
    citation = "Kirsch et al. 2019, arXiv:1906.08158; Kirsch et al. 2023, arXiv:2106.12059"
    tasks = frozenset({Task.CLASSIFICATION})
    unsuited: ClassVar[Mapping[Task, str]] = {
        Task.CAUSAL_LM: "the joint information of a batch sums over all labels of its rows, and a response is a text, "
        "not one of a few labels; 'bald' with task='causal_lm' ranks by the mutual information of its tokens."
    }

    n_samples: int = 20
    n_configurations: int = 10_000
    max_batch: int = 100
    fallback: Literal["power_bald"] | None = None
    beta: float = 1.0

    def __post_init__(self) -> None:
        require_whole("n_samples", self.n_samples, minimum=2)
        require_whole("n_configurations", self.n_configurations, minimum=2)
        require_whole("max_batch", self.max_batch)
        require_choice("fallback", self.fallback, (None, "power_bald"))
        require_positive("beta", self.beta)
        if self.fallback is None and self.beta != type(self).beta:
            raise ConfigError(f"beta={self.beta} is the power of fallback='power_bald'; give that as well, or neither.")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """What each sample says of each class."""
        return frozenset({stochastic_probabilities(self.n_samples)})

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows that a sample says nothing finite about."""
        values = signals[stochastic_probabilities(self.n_samples)]
        return {"no finite probabilities": np.logical_not(np.isfinite(values).all(axis=(1, 2)))}

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The batch in greedy order, then what fills it up.

        Args:
            signals: the declared signals.
            rows: ``(M,)`` eligible row ids, ascending.
            k: how many to pick.
            rng: thins the configurations, and draws for ``power_bald``.

        Returns:
            The picks.

        Raises:
            BudgetError: if ``k`` is above ``max_batch`` and there is no ``fallback``.
        """
        if k > self.max_batch and self.fallback is None:
            raise BudgetError(
                f"{self.name} was asked for {k} rows and max_batch is {self.max_batch}: its cost grows with each pick. "
                f"Raise max_batch, give fallback='power_bald' for the rows beyond, or take 'bald'."
            )
        probabilities = class_probabilities(signals[stochastic_probabilities(self.n_samples)][rows])
        information = mutual_information(probabilities)
        chosen, gains = most_informative_batch(
            probabilities,
            min(k, self.max_batch),
            n_configurations=self.n_configurations,
            min_gain=_MIN_GAIN,
            rng=rng,
        )
        if self.fallback is None:
            self._warn_of_the_limit(probabilities.shape[1], k, gains, float(information[chosen].sum()))
        left = np.setdiff1d(np.arange(len(rows)), chosen)
        filling = self._fill(information, left, k - len(chosen), rng)
        return Picks(rows[np.concatenate([chosen, filling])], np.concatenate([gains, information[filling]]))

    def _fill(self, information: Scores, left: Indices, n_missing: int, rng: np.random.Generator) -> Indices:
        """Positions that fill the batch, by single-point mutual information or drawn by its power."""
        if n_missing == 0 or self.fallback is None:
            return top_k(information, left, n_missing).indices
        keys = self.beta * np.log(np.maximum(information, np.finfo(np.float64).tiny))
        return top_k(keys + rng.gumbel(size=len(keys)), left, n_missing).indices

    def _warn_of_the_limit(self, n_samples: int, k: int, gains: Scores, one_by_one: float) -> None:
        """Warn where the samples of the model ran out, or cannot tell what the picks could."""
        limit = math.log(n_samples)
        told_apart = f"{n_samples} samples of the model can be told apart by at most ln {n_samples} = {limit:.3f} nats"
        advice = "Raise n_samples, or pick fewer rows."
        if len(gains) < k:
            warnings.warn(
                f"{self.name}: after {len(gains)} picks no row adds more than {_MIN_GAIN:g} nats ({told_apart}, the "
                f"picks tell {gains.sum():.3f}); the other {k - len(gains)} follow single-point mutual information. "
                f"{advice}",
                stacklevel=4,
            )
        elif one_by_one > limit:
            warnings.warn(
                f"{self.name}: {told_apart}, and the {k} picks would tell {one_by_one:.3f} one by one; the last picks "
                f"follow the few samples more than the model. {advice}",
                stacklevel=4,
            )
