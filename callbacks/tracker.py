"""Figures of a callback to every tracker of ``report_to``, as if the ``Trainer`` had logged them.

A hook is told nothing of the ``Trainer`` nor of the other callbacks, and those of ``report_to`` stand before the
user's in the list, so what is put into ``logs`` in ``on_log`` comes too late for them. What a hook can see is who calls
it: the ``CallbackHandler``. ``report`` asks it to send one more log to all callbacks.

A tracker names a figure ``train/NAME``, and ``eval/NAME`` where it is ``eval_NAME``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.integration_utils import TensorBoardCallback, TrackioCallback
from transformers.trainer_callback import CallbackHandler

Values = npt.NDArray[np.floating[Any]]


def report(
    figures: Mapping[str, float],
    args: TrainingArguments,
    state: TrainerState,
    control: TrainerControl,
    *,
    histograms: Mapping[str, Values] | None = None,
) -> None:
    """Log figures once: to ``state.log_history``, to every tracker and to whatever else listens to ``on_log``.

    To be called within a hook, on every process. Not in ``on_train_end``, where the trackers have closed already, nor
    in ``on_train_begin``, where some have not opened yet. Outside of a ``Trainer`` only the log history is written.

    Args:
        figures: numbers by name; ``eval_`` at the front puts one among the evaluation's.
        args: the hook's.
        state: the hook's; step and epoch are read from it.
        control: the hook's; what is due stays due.
        histograms: ``(N,)`` values by name, for the trackers that have histograms (TensorBoard, trackio).
    """
    logs: dict[str, Any] = dict(figures)
    if state.epoch is not None:
        logs["epoch"] = state.epoch
    state.log_history.append({**logs, "step": state.global_step})
    handler = _calling_handler()
    if handler is None:
        return
    due = control.should_log  # the handler takes it back, and the Trainer has yet to log the loss of this step
    handler.on_log(args, state, control, logs)
    control.should_log = due
    if state.is_world_process_zero:
        for name, values in (histograms or {}).items():
            for callback in handler.callbacks:
                _add_histogram(callback, f"train/{name}", values[np.isfinite(values)], state.global_step)


def _calling_handler() -> CallbackHandler | None:
    """The handler that called the hook in which this runs."""
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, CallbackHandler):
            return caller
        frame = frame.f_back
    return None


def _add_histogram(callback: TrainerCallback, name: str, values: Values, step: int) -> None:
    """Send values to a callback that is a tracker with histograms; to any other nothing."""
    if len(values) == 0:
        return
    if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
        callback.tb_writer.add_histogram(name, values, step)
    elif isinstance(callback, TrackioCallback):
        import trackio

        trackio.log({name: trackio.Histogram(values), "train/global_step": step})
