"""The signals of all methods, each read once per seed: columns of the pool and of the validation rows.

A signal that cannot be read costs the methods that need it, with the reason, and no others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import HfSelectError
from hf_select.experiment.process import on_main_process
from hf_select.extraction import Extraction
from hf_select.grid.preparation import Preparation, prepared_by
from hf_select.grid.setting import GridSetting
from hf_select.methods import Method
from hf_select.signals.identity import key_of
from hf_select.signals.keys import Signal
from hf_select.signals.models import Models
from hf_select.signals.passes import PASSES, pass_of
from hf_select.signals.source import Options

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("hf_select")

REFERENCE = "validation"
"""Name of the one task of the reference set."""


@dataclass
class SeedSignals:
    """The signals of one seed, as columns.

    Attributes:
        preparation: the models that read them, and the methods that need them.
        pool: the rows to pick from.
        validation: the reference rows.
        runs: names of the signals that were read together, and the seconds that took.
        failures: why a signal could not be read, by its name.
    """

    preparation: Preparation
    pool: Dataset
    validation: Dataset
    runs: list[tuple[frozenset[str], float]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, preparation: Preparation) -> SeedSignals:
        """Read what the methods of a run must be told first; what they want then is read when they pick.

        Args:
            preparation: the models that read, and the methods.

        Returns:
            The signals.
        """
        setting = preparation.setting
        signals = cls(preparation, setting.pool, setting.validation)
        for together in _runs(preparation.methods, setting):
            signals._read(together)
        return signals

    def failure(self, method: Method) -> str | None:
        """Why a method cannot pick.

        Args:
            method: the method.

        Returns:
            What was said of the first of its signals that could not be read; ``None`` if all are there.
        """
        return next((self.failures[s.name] for s in _sorted(_told_first(method)) if s.name in self.failures), None)

    def cost(self, method: Method) -> float:
        """What the signals of a method would have cost had it run alone: its passes, and the trainings before them.

        Args:
            method: the method.

        Returns:
            Seconds; what it reads for single rows and the picking come on top.
        """
        names = {signal.name for signal in _told_first(method)}
        passes = sum(seconds for read, seconds in self.runs if read & names)
        needs = method.needs | method.reference_needs
        trained = {kind for signal in needs if (kind := prepared_by(signal, self.preparation.setting))}
        return passes + sum(self.preparation.seconds.get(kind, 0.0) for kind in trained)

    def extraction(self, method: Method) -> Extraction:
        """What a method picks from: the columns alone, or models too where it wants more when it picks.

        Args:
            method: the method.

        Returns:
            The dataset and what is read with.
        """
        setting = self.preparation.setting
        if method.needs_at_first != method.needs:
            return _extraction(setting, self.preparation.models(_sorted(method.needs | method.reference_needs)))
        told = Models(given_task=setting.arguments.task)
        return replace(_extraction(setting, told), dataset=self.pool, reference={REFERENCE: self.validation})

    def _read(self, signals: Sequence[Signal[Any]]) -> None:
        """Read signals together; where that fails, each alone, so that only the culprit is missing."""
        try:
            self._read_together(signals)
        except HfSelectError as reason:
            if len(signals) > 1:
                for signal in signals:
                    self._read([signal])
            else:
                self.failures[signals[0].name] = f"{type(reason).__name__}: {reason}"
                logger.warning("Signal %s cannot be read: %s", signals[0].name, reason)

    def _read_together(self, signals: Sequence[Signal[Any]]) -> None:
        setting, methods = self.preparation.setting, self.preparation.methods
        of_pool = [signal for signal in signals if any(signal in method.needs for method in methods)]
        of_reference = [signal for signal in signals if any(signal in method.reference_needs for method in methods)]
        names = [[signal.name for signal in part] for part in (of_pool, of_reference)]
        folder = setting.run.folder / "signals" / setting.name / key_of(names)[:16]
        self.preparation.train(signals)

        def compute() -> dict[str, Any]:
            extraction = _extraction(setting, self.preparation.models(signals))
            began = time.perf_counter()
            pool = extraction.extract(of_pool)
            validation = extraction.reference_parts[REFERENCE].extract(of_reference)
            seconds = time.perf_counter() - began
            on_main_process(lambda: _save(pool, of_pool, folder / "pool"))
            on_main_process(lambda: _save(validation, of_reference, folder / "validation"))
            return {"pool": names[0], "validation": names[1], "seconds": seconds}

        record = setting.run.stage(f"signals/{setting.name}/{folder.name}", compute)
        self.pool = _with_columns(self.pool, of_pool, folder / "pool")
        self.validation = _with_columns(self.validation, of_reference, folder / "validation")
        self.runs.append((frozenset(names[0] + names[1]), float(record["seconds"])))


def _runs(methods: Iterable[Method], setting: GridSetting) -> list[list[Signal[Any]]]:
    """The signals that are read together, cheap passes first: one run of a pass for all its plain signals.

    A signal with parameters of its own is a run of its own.
    """
    light = Models(None, None, setting.arguments.selection.embedder, None, setting.arguments.task)
    order = list(PASSES)
    runs: dict[tuple[int, str], list[Signal[Any]]] = {}
    for signal in _sorted({signal for method in methods for signal in _told_first(method)}):
        place = order.index(pass_of(signal, light))
        runs.setdefault((place, signal.name if signal.option else ""), []).append(signal)
    return [runs[key] for key in sorted(runs)]


def _told_first(method: Method) -> frozenset[Signal[Any]]:
    return method.needs_at_first | method.reference_needs


def _sorted(signals: Iterable[Signal[Any]]) -> list[Signal[Any]]:
    """Signals by name: the order of a set differs between processes, and all must run the same passes."""
    return sorted(signals, key=lambda signal: signal.name)


def _extraction(setting: GridSetting, models: Models) -> Extraction:
    """The pool, with its labelled rows and the reference set."""
    arguments = setting.arguments
    options = Options(
        template=arguments.data.template,
        max_length=setting.max_length,
        max_tokens_per_batch=arguments.selection.max_tokens_per_batch,
        cache_dir=setting.run.folder / "cache",
        seed=setting.seed,
        max_new_tokens=arguments.evaluation.max_new_tokens,
    )
    reference = {REFERENCE: setting.validation}
    return Extraction(setting.pool, models, setting.data.pool.columns, options, setting.split.labelled, reference)


def _save(dataset: Dataset, signals: Sequence[Signal[Any]], folder: Path) -> None:
    if signals:
        dataset.select_columns([signal.column for signal in signals]).flatten_indices().save_to_disk(str(folder))


def _with_columns(dataset: Dataset, signals: Sequence[Signal[Any]], folder: Path) -> Dataset:
    from datasets import concatenate_datasets, load_from_disk

    if not signals:
        return dataset
    there = [signal.column for signal in signals if signal.column in dataset.column_names]
    return concatenate_datasets([dataset.remove_columns(there), load_from_disk(str(folder))], axis=1)
