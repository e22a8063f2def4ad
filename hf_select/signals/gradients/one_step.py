"""DIScore: how much one optimiser step on a row alone lowers the loss of each reference task.

engine     what is computed                                               error
oracle     L(theta) - L(theta_i), step by step, L read in float64         none: it is the definition
oracle_float32       the same, L read by a float32 forward pass           of rounding: about 1e-8, much at small rates
curved_64  anchored, with 64 eigenpairs of the Hessian of L               O(rate^2) of its other eigenpairs, O(rate^3)
curved_16  the same with 16                                               the same
anchored   exact, with the gradients of L where the mean step leads       O(rate^2), without what rows have in common
exact      rate <gradient L, U(g_i) - U(0)>, U the optimiser's update     O(rate^2)
linear     rate <J gradient L, g_i>, J the slope of U at 0                also a row's own share in Adam's denominator
finite_difference    linear, by two forward passes for each task          also of the difference; knows no clipping
plain      <gradient L, g_i>                                              knows no optimiser

All but ``plain`` add ``L(theta) - L(theta_0)``, ``theta_0`` being where the step leads at a zero gradient (momentum and
decay alone), so that a score below 0 says that the step does harm.

Source: Xing et al. 2026 (DIScore), equation 1; the expansion is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ConfigError
from hf_select.signals.gradients.checkpoint import opened
from hf_select.signals.gradients.difference import CentralDifference
from hf_select.signals.gradients.engine import GradientEngine, gradient_engine
from hf_select.signals.gradients.expansion import Expander, Expansion
from hf_select.signals.gradients.factor import exact_dtype
from hf_select.signals.gradients.loss import SampleLoss, make_loss
from hf_select.signals.gradients.optimizer import optimizer_hash
from hf_select.signals.gradients.optimizer_state import live_state, stored_state
from hf_select.signals.gradients.oracle import Oracle
from hf_select.signals.gradients.pool import read_pool
from hf_select.signals.gradients.step import Step, make_step
from hf_select.signals.gradients.validation import Validation, make_validation
from hf_select.signals.gradients.weight import require_exact_weights
from hf_select.signals.identity import key_of
from hf_select.signals.keys import Indices
from hf_select.signals.source import Source
from hf_select.signals.store import Store

CURVED = {"curved_16": 16, "curved_64": 64}
"""Engines that know how the loss of a task bends, and how many eigenpairs of its Hessian they take."""

ORACLES = {"oracle": True, "oracle_float32": False}
"""Engines that take every step, and whether they read what came of it in float64."""

ENGINES = ("linear", "finite_difference", "exact", "anchored", *CURVED, "plain", *ORACLES)
_MOVE_WEIGHTS = ("finite_difference", "anchored", *CURVED, *ORACLES)


@dataclass(frozen=True)
class OneStep:
    """One step on a row alone.

    Attributes:
        engine: how its effect is computed, one of ``ENGINES``.
        learning_rate: of the step; ``None`` for what the optimiser is at.
        max_norm: norm that the row's gradient is clipped to; ``None`` for no clipping.
        n_checkpoints: how many of the last checkpoints it is taken at, each with its own weights and optimiser.
    """

    engine: str
    learning_rate: float | None
    max_norm: float | None
    n_checkpoints: int = 1

    def __post_init__(self) -> None:
        """Refuse to clip by an engine that cannot."""
        if self.engine == "finite_difference" and self.max_norm is not None:
            raise ConfigError(
                f"max_norm={self.max_norm}: engine='finite_difference' does not form the gradients that clipping "
                f"measures. Give max_norm=None, or use engine='linear'."
            )


def one_step_values(asked: OneStep, source: Source) -> NDArray[np.float64]:
    """How much one step on each row lowers the loss of each reference task.

    The step is that of ``companions.optimizer`` as it stands, else that of the last of ``companions.checkpoints``, with
    its weights. What is read with a live optimiser is not stored.

    Args:
        asked: the step.
        source: rows, reference rows, model and optimiser.

    Returns:
        ``(N, K)`` in the order of the reference tasks, in nats (``"plain"``: nats per unit of learning rate); NaN for
        rows without a loss. Of several checkpoints ``(N, C K)``, the columns of the oldest first.

    Raises:
        ConfigError: if there is no reference, or no optimiser and the engine needs one.
    """
    if asked.engine not in ENGINES:
        raise ConfigError(f"engine={asked.engine!r} is not known; give one of {', '.join(ENGINES)}.")
    if asked.n_checkpoints > 1:
        one = replace(asked, n_checkpoints=1)
        return np.concatenate([one_step_values(one, at) for at in _last(source, asked.n_checkpoints)], axis=1)
    with with_optimizer(source, asked.engine) as (source, folder):
        loss, validation = make_loss(source), make_validation(source)
        with gradient_engine(loss) as engine:
            influence = OneStepInfluence(asked, engine, loss, validation, source, folder)
            name, store = f"one-step influence ({asked.engine})", _store(influence)
            return read_pool(name, source, loss, influence.read, validation.n_tasks, store=store)


@contextmanager
def with_optimizer(source: Source, engine: str) -> Iterator[tuple[Source, Path | None]]:
    """The source at the point where the optimiser stands.

    Args:
        source: rows, model and companions.
        engine: what needs the optimiser.

    Yields:
        tuple[Source, Path | None]: the source with the weights that belong to the optimiser, and the folder of its
        state; ``None`` for a live optimiser, or none.

    Raises:
        ConfigError: if there is no optimiser and the engine needs one.
    """
    companions = source.models.companions
    if companions.optimizer is None and companions.checkpoints:
        folder = Path(companions.checkpoints[-1])
        with opened(folder, source.models) as models:
            yield replace(source, models=models), folder
        return
    if companions.optimizer is None and engine != "plain":
        raise ConfigError(
            f"engine={engine!r} takes the step of an optimiser: give companions={{'optimizer': optimizer}}, the one "
            f"that trains the model, or companions={{'checkpoints': [folder]}}, a checkpoint of the Trainer with its "
            f"optimiser state. Or use engine='plain', the product of gradients."
        )
    yield source, None


def _last(source: Source, n_checkpoints: int) -> list[Source]:
    """The source at each of the last checkpoints alone, the oldest first."""
    companions = source.models.companions
    if len(companions.checkpoints) < n_checkpoints:
        raise ConfigError(
            f"{len(companions.checkpoints)} checkpoints were given and {n_checkpoints} are compared; give "
            f"companions={{'checkpoints': [earlier folder, later folder]}}."
        )
    alone = [replace(companions, optimizer=None, checkpoints=(folder,)) for folder in
             companions.checkpoints[-n_checkpoints:]]  # fmt: skip
    return [replace(source, models=replace(source.models, companions=one)) for one in alone]


def _store(influence: OneStepInfluence) -> Store | None:
    """Where values lie; those of a live optimiser are of this very moment and not kept."""
    source, folder, loss = influence.source, influence.folder, influence.loss
    if source.options.cache_dir is False or source.models.companions.optimizer is not None:
        return None
    return source.model_store(
        "one_step",
        asked=[influence.asked.engine, influence.asked.learning_rate, influence.asked.max_norm],
        pool=loss.identity,
        layout=loss.layout.value,
        parameters=key_of(list(influence.engine.parameters)),  # by name, as `parameters_hash` has them
        reference=[reference.identity for reference in influence.validation.losses.values()],
        optimizer=None if folder is None or influence.asked.engine == "plain" else optimizer_hash(folder),
    )


@dataclass(frozen=True)
class OneStepInfluence:
    """Reads batches; all that is common to the rows is made when the first batch is read.

    Attributes:
        asked: the step.
        engine: the model.
        loss: the loss of each row.
        validation: the loss that is to fall.
        source: rows, model and live optimiser.
        folder: checkpoint with the optimiser's state; ``None`` for a live optimiser, or none.
    """

    asked: OneStep
    engine: GradientEngine
    loss: SampleLoss
    validation: Validation
    source: Source
    folder: Path | None

    @property
    def read(self) -> Callable[[Indices], NDArray[Any]]:
        """Reads a batch of row ids: ``(n, K)``."""
        if self.asked.engine in _MOVE_WEIGHTS:
            require_exact_weights(self.loss.model, self.asked.engine)
        if self.asked.engine in ORACLES:
            return self.oracle.read
        return self._differenced if self.asked.engine == "finite_difference" else self._expanded

    @cached_property
    def oracle(self) -> Oracle:
        """The definition."""
        in_float64 = ORACLES[self.asked.engine]
        return Oracle(self.engine, self.loss, self.step, self.validation, self.asked.max_norm, in_float64)

    @cached_property
    def step(self) -> Step:
        """The optimiser's step."""
        live, parameters = self.source.models.companions.optimizer, self.engine.parameters
        if live is not None:
            known = live_state(live, parameters)
        else:
            assert self.folder is not None
            known = stored_state(self.folder, self.loss.model, parameters)
        return make_step(known, parameters, self.asked.learning_rate)

    def _expanded(self, rows: Indices) -> NDArray[Any]:
        max_norm = None if self.asked.engine == "plain" else self.asked.max_norm
        [sums] = self.engine.read(self.loss, rows, [self._expansion.reduction], max_norm=max_norm).sums
        return self._expansion.influence(sums)

    def _differenced(self, rows: Indices) -> NDArray[Any]:
        return self._difference.read(rows) + self._expansion.constants

    @cached_property
    def _difference(self) -> CentralDifference:
        exact = make_loss(self.source, dtype=exact_dtype(next(iter(self.engine.parameters.values())).device))
        return CentralDifference(self.engine, exact, self._expansion.reduction.directions)

    @cached_property
    def _expansion(self) -> Expansion:
        max_tokens, name = self.source.options.max_tokens_per_batch, self.asked.engine
        expander = Expander(self.engine, self.loss, self.validation, max_tokens, self.asked.max_norm)
        if name == "plain":
            return expander.plain()
        if name == "anchored" or name in CURVED:
            return expander.around_the_mean(self.step, CURVED.get(name, 0))
        return expander.at_rest(self.step, linear=name in ("linear", "finite_difference"))
