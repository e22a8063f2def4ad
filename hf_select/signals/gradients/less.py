"""LESS: how far the update that a row alone would cause points to where the reference rows pull."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ConfigError
from hf_select.signals.gradients.checkpoint import learning_rate_weights, opened
from hf_select.signals.gradients.direction import reference_directions
from hf_select.signals.gradients.engine import GradientEngine, Reduction, gradient_engine
from hf_select.signals.gradients.loss import SampleLoss, make_loss
from hf_select.signals.gradients.optimizer import optimizer_hash, read_moments
from hf_select.signals.gradients.parameter import parameters_hash
from hf_select.signals.gradients.pool import read_pool
from hf_select.signals.gradients.reduction import Dots, SquaredNorm, UpdateDots
from hf_select.signals.gradients.update import AdamUpdate
from hf_select.signals.keys import Indices
from hf_select.signals.source import Source

logger = logging.getLogger("hf_select")


@dataclass(frozen=True)
class Influence:
    """How LESS compares a row with the reference rows.

    Attributes:
        update: the row's update: Adam's with the state of the checkpoint, or the plain gradient (``"sgd"``).
        aggregation: mean of the cosines with each reference row, or cosine with the mean of their gradients.
        eps: Adam's small number inside or outside of the root.
        bias_correction: divide Adam's moments by ``1 - b^t``; a cosine feels it through eps alone.
    """

    update: str
    aggregation: str
    eps: str
    bias_correction: bool


def less_influence_values(influence: Influence, source: Source) -> NDArray[np.float64]:
    """Cosine of each row's update with the reference rows of each task, mean over checkpoints.

    ``sum_e w_e * cos(Gamma(row; theta_e), gradient(reference; theta_e))`` with ``w_e`` = mean learning rate before
    checkpoint ``e``, and sum 1. Cosines are exact: nothing is projected.

    Args:
        influence: how to compare.
        source: rows, reference rows, model and checkpoints.

    Returns:
        ``(N, K)`` in the order of the reference tasks; NaN for rows without a loss.

    Raises:
        ConfigError: if there is no reference, or no checkpoint and Adam's update is asked for.

    Source:
        Xia et al. 2024 (LESS), section 4 and ``get_info.py``.
    """
    if not source.reference:
        raise ConfigError("less_influence needs rows to aim at; give reference=, one dataset or one per task.")
    folders = [Path(folder) for folder in source.models.companions.checkpoints]
    if not folders:
        if influence.update == "adam":
            raise ConfigError(
                "LESS with update='adam' needs an optimiser state: give companions={'checkpoints': [...]}, folders "
                "that the Trainer saved. Or use update='sgd', the plain gradients of the model as it is."
            )
        return _cosines(influence, source, None)
    total = np.zeros((len(source.rows), len(source.reference)))
    for folder, weight in zip(folders, learning_rate_weights(folders), strict=True):
        with opened(folder, source.models) as models:
            total += weight * _cosines(influence, replace(source, models=models), folder)
    return total


def _cosines(influence: Influence, source: Source, folder: Path | None) -> NDArray[np.float64]:
    """Cosines at one checkpoint."""
    loss = make_loss(source)
    references = {task: make_loss(replace(source, rows=rows)) for task, rows in source.reference.items()}
    store = None
    if source.options.cache_dir is not False:
        identity = {
            "influence": vars(influence),
            "pool": loss.identity,
            "layout": loss.layout.value,
            "parameters": parameters_hash(loss.model),
            "reference": [reference.identity for reference in references.values()],
            "optimizer": optimizer_hash(folder) if folder is not None and influence.update == "adam" else None,
        }
        store = source.model_store("less", **identity)
    with gradient_engine(loss) as engine:
        comparison = _Comparison(influence, engine, loss, references, folder)
        name = "less" if folder is None else f"less {folder.name}"
        return read_pool(name, source, loss, comparison.read, len(references), store=store)


@dataclass(frozen=True)
class _Comparison:
    """Reads batches; directions and optimiser state are made when the first batch is read that is not stored."""

    influence: Influence
    engine: GradientEngine
    loss: SampleLoss
    references: dict[str, SampleLoss]
    folder: Path | None

    def read(self, rows: Indices) -> NDArray[Any]:
        """``(n, K)`` cosines of a batch."""
        sums = np.concatenate(self.engine.read(self.loss, rows, self._reductions).sums, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # a zero update has no direction: NaN
            return sums[:, :-1] / np.sqrt(sums[:, -1:])  # type: ignore[no-any-return]

    @cached_property
    def _reductions(self) -> list[Reduction]:
        """Inner products with the directions, then the squared norm."""
        is_mean_of_cosines = self.influence.aggregation == "mean_of_cosines"
        directions = reference_directions(
            self.engine, self.references, of_units=is_mean_of_cosines, unit=not is_mean_of_cosines
        )
        if self.influence.update == "sgd":
            return [Dots(directions), SquaredNorm()]
        assert self.folder is not None
        moments = read_moments(self.folder, self.loss.model, self.engine.parameters)
        update = AdamUpdate(
            {name: moments[name] for name in directions},
            eps="inside" if self.influence.eps == "inside" else "outside",
            bias_correction=self.influence.bias_correction,
        )
        return [UpdateDots(update, directions)]
