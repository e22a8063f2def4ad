"""The record of a selection within a training: what changed, and how the scores lay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from transformers import TrainerState

    from hf_select.selection import Selection

LEDGER_FILE = "selection_ledger.json"
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_LOGGED = ("n_rows", "replaced_fraction", "overlap", "seconds")


def ledger_entry(
    state: TrainerState, position: int, change: Mapping[str, Any], selection: Selection, seconds: float
) -> dict[str, Any]:
    """The entry of one selection.

    Args:
        state: where the training stood.
        position: where in the epoch's stream of rows the change takes effect.
        change: how the rows in use differ from those before, as ``compared`` tells it.
        selection: the selection.
        seconds: what it took.

    Returns:
        Plain data.
    """
    return {
        "step": state.global_step,
        "epoch": state.epoch,
        "position": position,
        **change,
        "score_quantiles": np.quantile(selection.scores, _QUANTILES).round(6).tolist(),
        "excluded": selection.provenance["excluded"],
        "seconds": round(seconds, 3),
    }


def figures_of(entry: Mapping[str, Any]) -> dict[str, float]:
    """What the trackers get of an entry.

    Args:
        entry: as ``ledger_entry`` gives it.

    Returns:
        Numbers by name.
    """
    median = entry["score_quantiles"][_QUANTILES.index(0.5)]
    return {**{f"selection_{name}": entry[name] for name in _LOGGED}, "selection_score_median": median}
