"""A pass of the gradient engine over all rows: planned, stored in shards, halved where memory does not suffice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select.signals.gradients.loss import SampleLoss
from hf_select.signals.keys import Indices
from hf_select.signals.layout import Layout
from hf_select.signals.memory import Halving
from hf_select.signals.plan import make_plan
from hf_select.signals.shards import run_shards
from hf_select.signals.source import Source
from hf_select.signals.store import Store

logger = logging.getLogger("hf_select")


def read_pool(
    name: str,
    source: Source,
    loss: SampleLoss,
    read: Callable[[Indices], NDArray[Any]],
    width: int,
    *,
    store: Store | None,
) -> NDArray[np.float64]:
    """Read all rows that have a loss.

    Args:
        name: what the progress bar says.
        source: rows and options.
        loss: the loss of each row.
        read: values of a batch of row ids, ``(n, width)``.
        width: values of each row.
        store: where finished shards lie; ``None`` for nowhere.

    Returns:
        ``(N, width)``; NaN for rows without a loss.
    """
    lengths = loss.lengths
    if not lengths.any():
        logger.warning("%s pass: none of the %d rows has a target to learn; all stay NaN.", name, len(lengths))
        return np.full((len(lengths), width), np.nan)
    plan = make_plan(lengths, source.options.max_tokens_per_batch, padded=loss.layout is Layout.PADDED)
    halving = Halving(lambda rows: {"values": np.asarray(read(rows), dtype=np.float64)}, lengths)
    values = run_shards(name, plan, halving.read, len(lengths), store=store, progress=source.options.progress)["values"]
    bad = np.flatnonzero((lengths > 0) & ~np.isfinite(values).all(axis=1))
    if len(bad):
        logger.warning(
            "%s pass: %d rows have no finite value (first: %s); they cannot be picked.",
            name, len(bad), bad[:5].tolist(),
        )  # fmt: skip
    return values
