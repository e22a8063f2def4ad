"""Is an engine of DIScore good enough for this model, this optimiser and these rows? Asked of the oracle, on few rows.

linear -> exact -> anchored -> curved_16 -> curved_64 -> oracle: the first that agrees with the oracle serves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ConfigError, RowError
from hf_select.extraction import Extraction, as_companions, as_task
from hf_select.signals.gradients.agreement import (
    Agreement,
    bootstrap_interval,
    rank_correlation,
    slope,
    top_overlap,
)
from hf_select.signals.gradients.anchor import spread_over_lengths
from hf_select.signals.gradients.engine import gradient_engine
from hf_select.signals.gradients.loss import make_loss
from hf_select.signals.gradients.one_step import CURVED, ENGINES, ORACLES, OneStep, OneStepInfluence, with_optimizer
from hf_select.signals.gradients.pool import read_pool
from hf_select.signals.gradients.validation import make_validation
from hf_select.signals.gradients.weight import require_exact_weights
from hf_select.signals.keys import Task
from hf_select.signals.models import Companions, Models
from hf_select.signals.source import Options

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("hf_select")

LADDER = ("linear", "exact", "anchored", *CURVED)

_MIN_ROWS = 8
_RELIABLE = 0.9


@dataclass(frozen=True)
class Calibration:
    """What came of asking the oracle.

    Attributes:
        served: the first engine whose rank correlation with the oracle reaches the target; the oracle if none does.
        target: that target.
        agreements: of the engines that were asked, in their order.
        refused: why an engine could not be asked, by engine.
        reliability: rank correlation of the oracle with itself, each on a random half of every task's reference rows;
            NaN where a task has one reference row alone. No score can agree with the oracle better than it agrees with
            itself on other reference rows.
        n_rows: rows that were asked about.
        n_reference: reference rows of each task that have a loss.
        learning_rates: of the step, those of all groups of parameters.
        parameter_coverage: share of the numbers in the parameters that the engines but the oracle see, 0..1.
        gradient_coverage: share of a gradient's squared norm that they see, 0..1.
        length_correlation: rank correlation of the oracle with the tokens of the rows.
        oracle_seconds: time of the oracle, for all rows.
    """

    served: str
    target: float
    agreements: tuple[Agreement, ...]
    refused: dict[str, str]
    reliability: float
    n_rows: int
    n_reference: dict[str, int]
    learning_rates: tuple[float, ...]
    parameter_coverage: float
    gradient_coverage: float
    length_correlation: float
    oracle_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The calibration as plain data."""
        return asdict(self)


def calibrate(
    dataset: Dataset,
    reference: Dataset | Mapping[str, Dataset],
    *,
    model: Any,
    companions: Companions | Mapping[str, Any],
    tokenizer: Any = None,
    task: Task | str | None = None,
    columns: Mapping[str, str] | None = None,
    engines: Sequence[str] = LADDER,
    oracle: str = "oracle",
    learning_rate: float | None = None,
    max_norm: float | None = 1.0,
    n_rows: int = 256,
    target: float = 0.95,
    seed: int = 0,
    **options: Any,
) -> Calibration:
    """Compare engines with the oracle on rows of all lengths, until one agrees with it.

    Args:
        dataset: the rows that will be scored.
        reference: rows to aim at, one dataset or one per task.
        model: see ``extract``; weights in float32.
        companions: see ``extract``; with the ``optimizer``, or ``checkpoints``, of which the last is taken.
        tokenizer: see ``extract``.
        task: see ``extract``.
        columns: see ``extract``.
        engines: engines to ask, in this order.
        oracle: whom they are held against: ``"oracle"``, which reads losses in float64, or ``"oracle_float32"``, for a
            device that is slow at float64; at small learning rates its own rounding is then laid at an engine's door.
        learning_rate: of the step; ``None`` for what the optimiser is at.
        max_norm: norm that a row's gradient is clipped to; ``None`` for no clipping.
        n_rows: rows to ask about; the oracle reads all reference rows for each of them.
        target: rank correlation that is good enough.
        seed: draws halves and resamples.
        **options: the other options of ``extract`` (``template``, ``max_length``, ``progress`` ...).

    Returns:
        The calibration.

    Raises:
        ConfigError: if an engine is not known, or a number cannot be used.
        RowError: if fewer than 8 rows have a loss.

    Example:
        ``calibrate(pool, validation, model=model, tokenizer=tokenizer, companions={"optimizer": optimizer}).served``
    """
    if oracle not in ORACLES:
        raise ConfigError(f"oracle={oracle!r} is not known; give one of {', '.join(ORACLES)}.")
    if unknown := [name for name in engines if name not in ENGINES or name == "oracle"]:
        raise ConfigError(f"engines={list(engines)} names {unknown}; give some of {', '.join(LADDER)} and 'plain'.")
    if n_rows < _MIN_ROWS or not 0 < target <= 1:
        raise ConfigError(f"n_rows={n_rows} must be at least {_MIN_ROWS} and target={target} in (0, 1].")
    models = Models(model, tokenizer, None, None, as_task(task), as_companions(companions))
    settings = Options(**{"seed": seed, "cache_dir": False, **options})
    source = Extraction(dataset, models, columns, settings, reference=reference).source
    with with_optimizer(source, oracle) as (at_optimizer, folder):
        rows = spread_over_lengths(make_loss(at_optimizer).lengths, n_rows)
        if len(rows) < _MIN_ROWS:
            raise RowError(f"{len(rows)} rows have a target to learn; to compare ranks, give at least {_MIN_ROWS}.")
        few = at_optimizer.only(rows)
        loss, validation = make_loss(few), make_validation(few)
        require_exact_weights(loss.model, oracle)
        with gradient_engine(loss) as engine:
            asked = OneStep(oracle, learning_rate, max_norm)
            return _Asking(OneStepInfluence(asked, engine, loss, validation, few, folder), target, seed).climb(engines)


@dataclass(frozen=True)
class _Asking:
    """The oracle, and whom it is asked about."""

    influence: OneStepInfluence
    target: float
    seed: int

    def climb(self, engines: Sequence[str]) -> Calibration:
        """Ask one engine after the other until one agrees."""
        influence = self.influence
        began = time.perf_counter()
        drops = [influence.oracle.drops(row) for row in range(len(influence.loss.lengths))]
        oracle_seconds = time.perf_counter() - began
        truth = np.asarray([[of_task.mean() for of_task in of_row] for of_row in drops])
        agreements, refused, served = [], {}, influence.asked.engine
        for name in engines:
            try:
                agreements.append(self._agreement(name, truth))
            except ConfigError as reason:
                refused[name] = str(reason)
                continue
            if agreements[-1].spearman >= self.target:
                served = name
                break
        coverage = influence.engine.coverage
        return Calibration(
            served=served,
            target=self.target,
            agreements=tuple(agreements),
            refused=refused,
            reliability=self._reliability(drops),
            n_rows=len(drops),
            n_reference={task: len(part) for task, part in zip(influence.validation.losses, drops[0], strict=True)},
            learning_rates=tuple(sorted(set(influence.step.rates.values()))),
            parameter_coverage=coverage.parameter_fraction,
            gradient_coverage=coverage.gradient_fraction,
            length_correlation=rank_correlation(truth.mean(1), influence.loss.lengths.astype(np.float64)),
            oracle_seconds=round(oracle_seconds, 3),
        )

    def _agreement(self, name: str, truth: NDArray[np.float64]) -> Agreement:
        influence = replace(self.influence, asked=replace(self.influence.asked, engine=name))
        began = time.perf_counter()
        read, n_tasks = influence.read, truth.shape[1]
        found = read_pool(f"calibration ({name})", influence.source, influence.loss, read, n_tasks, store=None)
        seconds = time.perf_counter() - began
        overall, of_oracle = found.mean(1), truth.mean(1)
        return Agreement(
            engine=name,
            spearman=rank_correlation(overall, of_oracle),
            interval=bootstrap_interval(overall, of_oracle, np.random.default_rng(self.seed)),
            by_task={
                task: rank_correlation(found[:, place], truth[:, place])
                for place, task in enumerate(influence.validation.losses)
            },
            top_half=top_overlap(overall, of_oracle, 0.5),
            top_tenth=top_overlap(overall, of_oracle, 0.1),
            slope=slope(of_oracle, overall),
            seconds=round(seconds, 3),
        )

    def _reliability(self, drops: Sequence[Sequence[NDArray[np.float64]]]) -> float:
        """The oracle on one half of the reference rows against the oracle on the other."""
        if min(map(len, drops[0])) < 2:
            return float("nan")
        rng = np.random.default_rng([self.seed, 1])
        halves: NDArray[np.float64] = np.zeros((2, len(drops)))
        for task in range(len(drops[0])):
            of_task = np.stack([of_row[task] for of_row in drops])
            shuffled = of_task[:, rng.permutation(of_task.shape[1])]
            halves += [part.mean(1) for part in np.array_split(shuffled, 2, axis=1)]
        reliability = rank_correlation(halves[0], halves[1])
        if reliability < _RELIABLE:
            logger.warning(
                "The oracle agrees with itself on other reference rows by %.2f alone: give more reference rows before "
                "an engine is blamed.",
                reliability,
            )
        return reliability
