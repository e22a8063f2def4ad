"""Shards dealt out to processes, computed or read from the store, and brought together again.

Shard ``j`` belongs to process ``j mod W``. What a shard holds does not depend on ``W``, so neither do the values; no
shared file system is needed, and processes may have different numbers of shards.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from hf_select.errors import ConfigError
from hf_select.signals.keys import Indices
from hf_select.signals.plan import Plan
from hf_select.signals.store import Arrays, Store

if TYPE_CHECKING:
    from accelerate import PartialState

logger = logging.getLogger("hf_select")

ReadBatch = Callable[[Indices], Arrays]


def processes() -> PartialState:
    """The processes of this run, as ``accelerate`` sees them.

    Returns:
        Their state; on a machine without accelerator it is made for the CPU.

    Raises:
        ConfigError: if several processes were launched and each believes to be alone.
    """
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.accelerator.is_available())
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched > 1 and state.num_processes != launched:
        raise ConfigError(
            f"{launched} processes were launched, but each is alone ({state.distributed_type}): every one would do all "
            f"the work. On a machine without accelerator set ACCELERATE_USE_CPU=true for `accelerate launch`."
        )
    return state


def run_shards(
    name: str, plan: Plan, read_batch: ReadBatch, n_rows: int, *, store: Store | None, progress: bool
) -> Arrays:
    """Compute every batch of a plan once, over all processes.

    Args:
        name: name of the pass, for the progress bar.
        plan: the batches.
        read_batch: values of one batch of row ids; first dimension = rows of the batch.
        n_rows: rows of the dataset.
        store: where finished shards lie; ``None`` for nowhere.
        progress: show a bar with rows per second on the main process.

    Returns:
        Arrays with one value per row of the dataset, on every process; NaN for rows that are not in the plan.
    """
    from accelerate.utils import gather_object

    state = processes()
    mine = range(state.process_index, len(plan.shards), state.num_processes)
    n_mine = sum(len(batch) for shard in mine for batch in plan.shards[shard])
    shown = progress and state.is_main_process
    meter = _Meter(name, plan, state.num_processes, tells=state.is_main_process)
    finished: list[Arrays] = []
    with tqdm(total=n_mine, unit="row", desc=f"{name} pass", disable=not shown) as bar:
        for shard in mine:
            rows = np.concatenate(plan.shards[shard])
            arrays = None if store is None else store.read(shard, len(plan.shards))
            if arrays is None or not np.array_equal(arrays.get("rows", rows[:0]), rows):
                arrays = _joined(meter.timed(read_batch, batch, bar) for batch in plan.shards[shard]) | {"rows": rows}
                if store is not None:
                    store.write(shard, len(plan.shards), arrays)
            else:
                bar.update(len(rows))
            finished.append(arrays)
    if state.num_processes > 1:
        finished = gather_object(finished)
    if store is not None and state.is_main_process and plan.shards:
        store.finish(len(plan.shards))
    return _in_row_order(finished, n_rows)


class _Meter:
    """Times the first batch and tells what the pass will take."""

    def __init__(self, name: str, plan: Plan, n_processes: int, *, tells: bool) -> None:
        self._name, self._plan, self._n_processes, self._tells = name, plan, n_processes, tells

    def timed(self, read_batch: ReadBatch, rows: Indices, bar: Any) -> Arrays:
        start = time.perf_counter()
        arrays = read_batch(rows)
        bar.update(len(rows))
        if self._tells:
            self._tells = False
            self._tell(time.perf_counter() - start)
        return arrays

    def _tell(self, seconds: float) -> None:
        n_rows = sum(len(batch) for shard in self._plan.shards for batch in shard)
        minutes = seconds * self._plan.n_batches / self._n_processes / 60
        logger.info(
            "%s pass: %d rows, %d tokens, about %.1f minutes on %d processes if nothing is stored yet "
            "(timed on the first of %d batches).",
            self._name, n_rows, self._plan.n_tokens, minutes, self._n_processes, self._plan.n_batches,
        )  # fmt: skip


def _joined(parts: Iterator[Arrays] | Sequence[Arrays]) -> Arrays:
    columns: dict[str, list[NDArray[Any]]] = {}
    for part in parts:
        for name, array in part.items():
            columns.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in columns.items()}


def _in_row_order(shards: Sequence[Arrays], n_rows: int) -> Arrays:
    """Scatter the values of all shards to their rows."""
    joined = _joined(shards)
    rows = joined.pop("rows", np.empty(0, dtype=np.int64))
    if len(np.unique(rows)) != len(rows):
        raise AssertionError("A row was computed twice; the plan holds each row once.")
    scattered = {}
    for name, array in joined.items():
        full = np.full((n_rows, *array.shape[1:]), np.nan, dtype=array.dtype)
        full[rows] = array
        scattered[name] = full
    return scattered
