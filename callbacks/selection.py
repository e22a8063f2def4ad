"""Re-selection while a stock ``Trainer`` trains: score the rows with the weights of now, and train on other ones.

on_train_begin   a LiveSampler takes the place of the dataloader's sampler; on resume it gets its events back
on_step_end      every ``every`` steps: extract -> pick -> the sampler draws the new rows from the next free batch
checkpoint       all events and the ledger go into trainer_state.json, with their hash
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from hf_select.budget import Budget
from hf_select.callbacks.ledger import LEDGER_FILE, figures_of, ledger_entry
from hf_select.callbacks.pool import drawn, rows_to_score
from hf_select.callbacks.tracker import Values, report
from hf_select.crash_point import crash_point
from hf_select.errors import ConfigError
from hf_select.extraction import Extraction, as_companions
from hf_select.files import write_json
from hf_select.methods import Method, make_for
from hf_select.select import check_asked, select_from
from hf_select.signals.identity import key_of, require_whole
from hf_select.signals.keys import Task
from hf_select.signals.models import Companions, Models
from hf_select.signals.shards import processes
from hf_select.signals.source import Options
from hf_select.termination import Terminated
from hf_select.training.gathered import gathered
from hf_select.training.last_step import end_at_last_step
from hf_select.training.live_sampler import Event, LiveSampler, compared, own_sampler
from hf_select.training.random_state import random_state_kept
from hf_select.training.seal import kept_of, sealed

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_select.selection import Selection

logger = logging.getLogger("hf_select")


class SelectionCallback(TrainerCallback, ExportableState):
    """Trains on the rows that a method picks, and picks anew every so many steps.

    The order of the rows stays the ``Trainer``'s own; rows that are not in use are passed over, and the epoch keeps its
    length, so that schedule and number of steps stay. A change takes effect behind the batches that were fetched
    already. Optimiser, gradients, random state and training flags are left as found: with a budget of 100 % the
    weights are those of a run without the callback, bit by bit.

    A SIGTERM within a selection ends the process with status 143; with ``enable_jit_checkpoint`` the ``Trainer`` saves
    that step before, and the training that is resumed there makes the selection first.

    Every tracker of ``report_to`` gets ``train/selection_n_rows``, ``train/selection_replaced_fraction``,
    ``train/selection_overlap``, ``train/selection_seconds`` and ``train/selection_score_median``, the log history the
    same without ``train/``; trackers that have histograms get that of ``train/selection_scores`` (the picked rows').

    Args:
        method: a method, or the name of one with its defaults.
        budget: how much to keep: rows (``5000``) or a fraction (``"40%"``, ``0.4``) of the rows that are scored.
        every: optimiser steps between two selections.
        first: step of the first selection: ``0`` selects before the training; ``every`` by default.
        reference: rows to aim at, one dataset or one per task, for the methods that need them.
        dataset: the rows as text, row ``i`` = row ``i`` of the training dataset, for methods that read text; by
            default the tokenised training dataset itself (``input_ids``, ``labels``).
        columns: see ``extract``.
        embedder: see ``extract``.
        companions: see ``extract``; the optimiser is the ``Trainer``'s.
        labelled: rows that are never picked; see ``extract``.
        pool_fraction: share of the rows, drawn anew each time, that is scored and picked from.
        seed: the only source of randomness; every selection has its own stream of it.
        **options: the other options of ``extract`` (``template``, ``max_length`` ...).

    Attributes:
        ledger: what happened at each selection: step, rows in use, share replaced, overlap, quantiles of the scores,
            seconds; in every checkpoint, and in ``selection_ledger.json`` of the output folder at the end.

    Raises:
        ConfigError: if a number cannot be used.

    Example:
        ``Trainer(..., callbacks=[SelectionCallback("loss", "40%", every=200)])``
    """

    def __init__(
        self,
        method: Method | str,
        budget: str | float | Fraction | Budget,
        *,
        every: int,
        first: int | None = None,
        reference: Dataset | Mapping[str, Dataset] | None = None,
        dataset: Dataset | None = None,
        columns: Mapping[str, str] | None = None,
        embedder: Any = None,
        companions: Companions | Mapping[str, Any] | None = None,
        labelled: Any = None,
        pool_fraction: float = 1.0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        for name, value, least in (("every", every, 1), ("first", every if first is None else first, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name}={value!r} must be a whole number of at least {least}.")
        if not 0 < pool_fraction <= 1:
            raise ConfigError(f"pool_fraction={pool_fraction!r} must lie above 0 and not above 1.")
        self._asked_method, self._budget = method, Budget.parse(budget)
        self._every, self._first = every, every if first is None else first
        self._given: dict[str, Any] = {
            "reference": reference, "dataset": dataset, "columns": columns, "embedder": embedder, "labelled": labelled,
        }  # fmt: skip
        self._companions, self._pool_fraction, self._seed = as_companions(companions), pool_fraction, seed
        self._options = Options.of({"progress": False, "cache_dir": False, **options})
        self._sampler: LiveSampler | None = None
        self._extraction: Extraction | None = None
        self._began = 0.0
        self._step = 0  # of the last hook, so that a checkpoint says which step its selection is of
        self._unreported: Values | None = None
        self._put_off: dict[str, int] | None = None  # where a selection takes effect that SIGTERM has cut off
        self._ended: Terminated | None = None
        self.ledger: list[dict[str, Any]] = []

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: Any = None,
        processing_class: Any = None,
        train_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        """Put the live sampler in, restore what a checkpoint holds, and select at once if that was asked for."""
        self._began = time.perf_counter()
        self._sampler, self.ledger = LiveSampler(own_sampler(train_dataloader)), []
        self._step, self._unreported, self._put_off = state.global_step, None, None
        train_dataloader.set_sampler(self._sampler)
        with gathered(model):  # whole weights must fit, and better fail now
            require_whole(model)
        companions = replace(self._companions, optimizer=kwargs["optimizer"])  # read as it stands
        models = Models(model, processing_class, self._given["embedder"], companions=companions)
        dataset = rows_to_score(self._given["dataset"], train_dataloader.dataset)
        self._extraction = Extraction(
            dataset, models, self._given["columns"], self._options, self._given["labelled"], self._given["reference"]
        )
        check_asked(self._method(models.task), self._budget, self._extraction)
        if state.global_step:
            self._restore(args, state)
            end_at_last_step(state, train_dataloader)
        elif self._first == 0:
            self._reselect(args, state)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Log a selection before the first step, now that every tracker is open."""
        self._report(args, state, control)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Select anew if it is time."""
        self._step = state.global_step
        due = state.global_step >= max(1, self._first) and (state.global_step - self._first) % self._every == 0
        if due and state.global_step < state.max_steps:
            try:
                self._reselect(args, state)
            except Terminated as ended:
                if not args.enable_jit_checkpoint:
                    raise
                self._leave(ended, control)
            else:
                self._report(args, state, control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Leave after SIGTERM, now that the checkpoint is written."""
        if self._ended is not None:
            processes().wait_for_everyone()
            raise self._ended

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the ledger."""
        seconds = time.perf_counter() - self._began
        spent = sum(entry["seconds"] for entry in self.ledger)
        logger.info(
            "%d selections took %.1f s, %.1f %% of the training.", len(self.ledger), spent, 100 * spent / seconds
        )
        if state.is_world_process_zero and args.output_dir is not None:
            write_json(Path(args.output_dir) / LEDGER_FILE, {**self._identity(), "selections": self.ledger})

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: every change of the rows in use, the ledger, what is put off, and a hash of it."""
        events = [] if self._sampler is None else [event.packed() for event in self._sampler.events]
        kept = {"step": self._step, "events": events, "ledger": self.ledger, "put_off": self._put_off}
        return {"args": {}, "attributes": sealed(type(self).__name__, {**self._identity(), **kept})}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NoReturn:  # noqa: ARG003
        """Refuse to be rebuilt from plain data: datasets and models are not in it.

        Args:
            state: what ``state`` returned.

        Raises:
            ConfigError: always, with what to do instead.
        """
        raise ConfigError(
            "restore_callback_states_from_checkpoint=True would replace the SelectionCallback by one without datasets. "
            "Leave it at False: the callback restores itself from the checkpoint."
        )

    def _method(self, task: Task) -> Method:
        asked = self._asked_method
        return make_for(asked, task) if isinstance(asked, str) else asked

    def _identity(self) -> dict[str, Any]:
        name = self._asked_method if isinstance(self._asked_method, str) else key_of(self._asked_method.config())
        return {
            "method": name, "budget": str(self._budget), "every": self._every, "seed": self._seed,
            "pool_fraction": self._pool_fraction,
        }  # fmt: skip

    def _restore(self, args: TrainingArguments, state: TrainerState) -> None:
        """The events of the run that the checkpoint is of; the selection is made that SIGTERM has cut off."""
        saves: Any = state.stateful_callbacks
        own, place = type(self).__name__, f"trainer_state.json of checkpoint-{state.global_step}"
        kept = kept_of(own, saves, place, state.global_step, self._identity())
        if kept is None:
            logger.warning("The checkpoint holds no selection; all rows are in use until the next one.")
            saves[own] = self.state()  # the Trainer saves only what the checkpoint knew
            return
        assert self._sampler is not None
        self._sampler.events = [Event.unpacked(event) for event in kept["events"]]
        self.ledger = list(kept["ledger"])
        if put_off := kept.get("put_off"):
            self._sampler.epoch, self._sampler.position = put_off["epoch"], put_off["position"]
            self._reselect(args, state)

    def _reselect(self, args: TrainingArguments, state: TrainerState) -> None:
        """Score, pick, and tell the sampler; the same on every rank."""
        from accelerate.utils import broadcast_object_list, gather_object

        sampler, extraction = self._sampler, self._extraction
        assert sampler is not None
        assert extraction is not None
        began = time.perf_counter()
        with random_state_kept():
            selection = self._select(extraction, len(self.ledger))
        [in_use] = broadcast_object_list([selection.mask()], from_process=0)
        position = max(gather_object([sampler.position]))
        crash_point("reselect.scored")
        before = sampler.events[-1].in_use if sampler.events else np.ones(len(in_use), dtype=bool)
        sampler.change(in_use, position)
        crash_point("reselect.swapped")
        seconds = time.perf_counter() - began
        entry = ledger_entry(state, position, compared(before, in_use), selection, seconds)
        self.ledger.append(entry)
        crash_point("reselect.noted")
        self._unreported = selection.scores
        if args.should_log:
            logger.info(
                "Step %d: %d rows in use, %.0f %% of them new (%.1f s).",
                state.global_step, entry["n_rows"], 100 * entry["replaced_fraction"], entry["seconds"],
            )  # fmt: skip

    def _leave(self, ended: Terminated, control: TrainerControl) -> None:
        """Have the ``Trainer`` save this step at once; the selection is made when the training goes on from there."""
        from accelerate.utils import gather_object

        assert self._sampler is not None
        self._ended = ended
        self._put_off = {"epoch": self._sampler.epoch, "position": max(gather_object([self._sampler.position]))}
        control.should_save = control.should_training_stop = True
        control.should_evaluate = False

    def _report(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        """Log the last selection, if that is yet to be done."""
        if self._unreported is None:
            return
        scores, self._unreported = self._unreported, None
        report(figures_of(self.ledger[-1]), args, state, control, histograms={"selection_scores": scores})

    def _select(self, extraction: Extraction, number: int) -> Selection:
        """The selection of that number, with a stream of random numbers of its own."""
        rng = np.random.default_rng([self._seed, number])
        candidates = drawn(len(extraction.dataset), self._pool_fraction, rng)
        method, seed = self._method(extraction.models.task), int(rng.integers(2**31))
        steps = any(signal.takes_a_step for signal in method.needs)
        with gathered(extraction.models.model, extraction.models.companions.optimizer if steps else None):
            return select_from(extraction, method, self._budget, seed=seed, candidates=candidates)
