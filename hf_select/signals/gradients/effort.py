"""STAFF's effort: how much a row would change the model, by the norm of a gradient, or the row's loss."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select.signals.gradients.engine import GradientEngine, gradient_engine
from hf_select.signals.gradients.loss import SampleLoss, make_loss
from hf_select.signals.gradients.parameter import parameters_hash
from hf_select.signals.gradients.pool import read_pool
from hf_select.signals.gradients.reduction import SquaredNorm
from hf_select.signals.gradients.value_projection import last_lora_b, last_value_projection
from hf_select.signals.keys import Indices
from hf_select.signals.source import Source


def effort_values(measure: str, model: str, source: Source) -> NDArray[np.float64]:
    """The effort of each row.

    Args:
        measure: ``"last_value_projection"``: norm of the gradient of the last layer's value projection, which needs a
            backward pass through that layer alone; ``"lora_b"``: of LoRA's B there; ``"all"``: of all parameters that
            are trained; ``"loss"``: the loss.
        model: ``"target"``, or ``"draft"`` for the companion, with its own tokenizer.
        source: rows and models.

    Returns:
        ``(N,)``; NaN for rows without a loss.

    Source:
        Zhang et al. 2025 (STAFF), section 3.1 and ``effort_score.py``, which measures by ``"lora_b"``.
    """
    if model == "draft":
        source = replace(source, models=source.models.draft)
    loss = make_loss(source)
    pattern, reduction = _scope(measure, loss)
    store = None
    if source.options.cache_dir is not False:
        parameters = parameters_hash(loss.model, pattern)
        store = source.model_store(
            "effort", measure=measure, pool=loss.identity, layout=loss.layout.value, parameters=parameters
        )
    with gradient_engine(loss, pattern) as engine:
        read = _losses(engine, loss) if measure == "loss" else _norms(engine, loss, reduction)
        return read_pool(f"effort of the {model}", source, loss, read, 1, store=store)[:, 0]


def _scope(measure: str, loss: SampleLoss) -> tuple[str | None, SquaredNorm]:
    """Which parameters are read, as a pattern, and what of them is measured."""
    if measure == "last_value_projection":
        found = last_value_projection(loss.model)
        return f"^{re.escape(found.weight)}$", SquaredNorm(found.restrict)
    if measure == "lora_b":
        return f"^{re.escape(last_lora_b(loss.model))}$", SquaredNorm()
    return None if measure == "all" else ".", SquaredNorm()


def _norms(engine: GradientEngine, loss: SampleLoss, reduction: SquaredNorm) -> Callable[[Indices], NDArray[Any]]:
    return lambda rows: np.sqrt(engine.read(loss, rows, [reduction]).sums[0])


def _losses(engine: GradientEngine, loss: SampleLoss) -> Callable[[Indices], NDArray[Any]]:
    return lambda rows: engine.losses(loss, rows)[:, None]
