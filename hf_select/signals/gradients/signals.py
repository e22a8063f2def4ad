"""The gradients pass: what one optimiser step on a row would do, row by row."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hf_select.signals.gradients.effort import effort_values
from hf_select.signals.gradients.less import Influence, less_influence_values
from hf_select.signals.gradients.one_step import OneStep, one_step_values
from hf_select.signals.keys import Signal, Values, less_influence
from hf_select.signals.source import Source


def gradient_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``less_influence``, ``one_step_influence`` and ``effort``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays; NaN where a row has no target token, or no label.
    """
    values: Values = {}
    for signal in sorted(wanted, key=lambda signal: signal.name):
        parameters = signal.parameters
        if "update" in parameters and signal == less_influence(**parameters):
            values[signal] = less_influence_values(Influence(**parameters), source)
        elif "engine" in parameters:
            values[signal] = one_step_values(OneStep(**parameters), source)
        else:
            values[signal] = effort_values(parameters["measure"], parameters["model"], source)
    return values
