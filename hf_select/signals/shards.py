"""Shards dealt out to processes, computed or read from the store, and brought together again.

Shard ``j`` belongs to process ``j mod W``. What a shard holds does not depend on ``W``, so neither do the values; no
shared file system is needed, and processes may have different numbers of shards.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from hf_select.crash_point import crash_point
from hf_select.errors import ConfigError
from hf_select.signals.keys import Indices
from hf_select.signals.plan import Plan
from hf_select.signals.store import Arrays, Store
from hf_select.termination import Terminated, Termination

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

    After SIGTERM all processes leave behind the batch they are at; the shard it is in is given up, finished ones stay.

    Args:
        name: name of the pass, for the progress bar.
        plan: the batches.
        read_batch: values of one batch of row ids; first dimension = rows of the batch.
        n_rows: rows of the dataset.
        store: where finished shards lie; ``None`` for nowhere.
        progress: show a bar with rows per second on the main process.

    Returns:
        Arrays with one value per row of the dataset, on every process; NaN for rows that are not in the plan.

    Raises:
        Terminated: after SIGTERM, on every process.
    """
    from accelerate.utils import gather_object

    state = processes()
    with Termination() as termination:
        work = _Work(name, plan, read_batch, store, termination)
        finished = list(work.shards(state, shown=progress and state.is_main_process))
        is_stopped = termination.is_asked
        if state.num_processes > 1:
            of_all = gather_object([(is_stopped, [] if is_stopped else finished)])
            is_stopped = any(stopped for stopped, _ in of_all)
            finished = [arrays for _, of_one in of_all for arrays in of_one]
        if not is_stopped and store is not None and state.is_main_process and plan.shards:
            crash_point("manifest.due")
            store.finish(len(plan.shards))
            crash_point("manifest.stored")
    if is_stopped or termination.is_asked:
        raise termination.ended_by or _terminated(name, store, tells=state.is_main_process)
    return _in_row_order(finished, n_rows)


@dataclass(frozen=True)
class _Work:
    """What one process has to do."""

    name: str
    plan: Plan
    read_batch: ReadBatch
    store: Store | None
    termination: Termination

    def shards(self, state: PartialState, *, shown: bool) -> Iterator[Arrays]:
        """The shards of this process, read from the store or computed; ends early when the run is to stop."""
        mine = range(state.process_index, len(self.plan.shards), state.num_processes)
        n_mine = sum(len(batch) for shard in mine for batch in self.plan.shards[shard])
        meter = _Meter(self.name, self.plan, state.num_processes, tells=state.is_main_process)
        with tqdm(total=n_mine, unit="row", desc=f"{self.name} pass", disable=not shown) as bar:
            for shard in mine:
                arrays = self._stored(shard)
                if arrays is None:
                    arrays = self._computed(shard, meter, bar)
                else:
                    bar.update(len(arrays["rows"]))
                if arrays is None:
                    return
                yield arrays

    def _stored(self, shard: int) -> Arrays | None:
        """A shard of the same rows in the store."""
        if self.store is None:
            return None
        rows = np.concatenate(self.plan.shards[shard])
        arrays = self.store.read(shard, len(self.plan.shards))
        return arrays if arrays is not None and np.array_equal(arrays.get("rows", rows[:0]), rows) else None

    def _computed(self, shard: int, meter: _Meter, bar: Any) -> Arrays | None:
        """A shard computed and stored; ``None`` if the run is to stop."""
        parts = []
        for batch in self.plan.shards[shard]:
            if self.termination.is_due():
                return None
            parts.append(meter.timed(self.read_batch, batch, bar))
        arrays = _joined(parts) | {"rows": np.concatenate(self.plan.shards[shard])}
        crash_point("shard.computed")
        if self.store is not None:
            self.store.write(shard, len(self.plan.shards), arrays)
            crash_point("shard.stored")
        return arrays


def _terminated(name: str, store: Store | None, *, tells: bool) -> Terminated:
    """The end of a run that was told to stop, with what is kept and how to go on."""
    kept = "Nothing was stored (cache_dir=False); the same call starts anew."
    if store is not None:
        kept = f"Finished shards are kept in {store.folder}; the same command goes on behind them."
    ended = Terminated(f"Stopped by SIGTERM in the {name} pass. {kept}")
    if tells:
        logger.warning("%s", ended)
    return ended


class _Meter:
    """Times a batch and tells what the pass will take: the second one, for the first may prepare what all rows need."""

    def __init__(self, name: str, plan: Plan, n_processes: int, *, tells: bool) -> None:
        self._name, self._plan, self._n_processes, self._tells = name, plan, n_processes, tells
        self._n_left = min(2, plan.n_batches)

    def timed(self, read_batch: ReadBatch, rows: Indices, bar: Any) -> Arrays:
        start = time.perf_counter()
        arrays = read_batch(rows)
        bar.update(len(rows))
        self._n_left -= 1
        if self._tells and self._n_left == 0:
            self._tell(time.perf_counter() - start)
        return arrays

    def _tell(self, seconds: float) -> None:
        n_rows = sum(len(batch) for shard in self._plan.shards for batch in shard)
        minutes = seconds * self._plan.n_batches / self._n_processes / 60
        logger.info(
            "%s pass: %d rows, %d tokens, about %.1f minutes on %d processes if nothing is stored yet "
            "(timed on one of %d batches).",
            self._name, n_rows, self._plan.n_tokens, minutes, self._n_processes, self._plan.n_batches,
        )  # fmt: skip


def _joined(parts: Sequence[Arrays]) -> Arrays:
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
