"""What a training costs: tokens per second, the share of padding, the peak of memory."""

from __future__ import annotations

import threading
import time
from typing import Any

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_select.callbacks.tracker import report
from hf_select.training.sample import CollationStats

_SAMPLING_SECONDS = 0.05


class EfficiencyCallback(TrainerCallback):
    """Measures one training run; the figures are logged at its end and stay readable here.

    Every tracker of ``report_to`` gets ``train/training_seconds``, ``train/peak_memory_bytes``,
    ``train/padding_fraction`` and ``train/tokens_per_second``, the log history the same without ``train/``.

    Args:
        stats: the collator's ``stats``, which count real and padded tokens of this process (``None``: not counted; with
            ``dataloader_num_workers`` above 0 the workers' collators count, not this one).

    Attributes:
        seconds: length of the training so far.
        peak_memory_bytes: on a GPU the peak of allocated memory, else the peak of the process's resident memory,
            sampled every 50 ms.
    """

    def __init__(self, stats: CollationStats | None = None) -> None:
        self.stats = stats
        self.seconds = 0.0
        self.peak_memory_bytes = 0
        self._began = 0.0
        self._watch: _MemoryWatch | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock and the watch on memory."""
        self._began = time.perf_counter()
        self._watch = _MemoryWatch()
        self._watch.start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Stop both with the ``Trainer``'s last log, while the trackers are open, and log the figures."""
        if self._watch is not None and "train_loss" in (logs or {}):
            self._stop(self._watch)
            report(self.figures(), args, state, control)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop both, if the ``Trainer`` logged nothing at the end."""
        if self._watch is not None:
            self._stop(self._watch)
            state.log_history.append({"step": state.global_step, **self.figures()})

    def _stop(self, watch: _MemoryWatch) -> None:
        self.seconds = time.perf_counter() - self._began
        self.peak_memory_bytes = watch.stop()
        self._watch = None

    def figures(self) -> dict[str, float]:
        """The figures by name; without ``stats`` only seconds and memory."""
        figures = {"training_seconds": self.seconds, "peak_memory_bytes": float(self.peak_memory_bytes)}
        if self.stats is not None and self.seconds > 0:
            figures["padding_fraction"] = self.stats.padding_fraction
            figures["tokens_per_second"] = self.stats.n_tokens / self.seconds
        return figures


class _MemoryWatch(threading.Thread):
    """Follows the resident memory of this process, or leaves the counting to CUDA."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="hf_select-memory-watch")
        self._process = psutil.Process()
        self._peak = 0
        self._ended = threading.Event()

    def start(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        super().start()

    def run(self) -> None:
        while True:
            self._peak = max(self._peak, int(self._process.memory_info().rss))
            if self._ended.wait(_SAMPLING_SECONDS):
                return

    def stop(self) -> int:
        self._ended.set()
        self.join()
        return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else self._peak
