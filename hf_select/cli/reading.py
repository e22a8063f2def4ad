"""The passes of a command: every pass once, timed, and then the picks of any number of methods."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hf_select.budget import Budget
from hf_select.cli.input import Inputs, named, reference_source
from hf_select.columns import with_columns
from hf_select.experiment.process import on_main_process
from hf_select.extraction import Extraction
from hf_select.methods import Method
from hf_select.select import select
from hf_select.selection import Selection
from hf_select.signals.keys import ROW_TOKENS, Pass, Signal
from hf_select.signals.models import TFIDF
from hf_select.signals.passes import PASSES, pass_of

if TYPE_CHECKING:
    from datasets import Dataset

_WITHOUT_THE_MODEL = frozenset({Pass.TEXT, Pass.EMBEDDING})
_LOADING = "load the model"


@dataclass(frozen=True)
class Reading:
    """Rows with the signals that were read of them.

    Attributes:
        inputs: what the command works on.
        dataset: the dataset with its signal columns.
        reference: the reference sets with theirs.
        seconds: what each pass took, and loading the model.
    """

    inputs: Inputs
    dataset: Dataset
    reference: dict[str, Dataset]
    seconds: dict[str, float]

    @classmethod
    def of(cls, inputs: Inputs) -> Reading:
        """Read what all methods of the inputs need, and the row lengths where they cost little more.

        Args:
            inputs: what the command works on.

        Returns:
            The reading, on every process.
        """
        extraction, methods = inputs.extraction, inputs.methods.values()
        seconds: dict[str, float] = {}
        needs = {signal for method in methods for signal in method.needs_at_first}
        aims = {signal for method in methods for signal in method.reference_needs}
        aimed = {task: reference_source(extraction, rows) for task, rows in extraction.references.items()}
        wanted = [extraction.missing(needs), *(source.missing(aims) for source in aimed.values())]
        reads_model = any(_uses_model(signal, extraction) for signals in wanted for signal in signals)
        if reads_model:
            seconds[_LOADING] = _load_model(inputs)
        is_counted = any(budget.kind == "tokens" for budget in inputs.budgets)
        if is_counted or (extraction.models.has_tokenizer and (reads_model or extraction.models.given_model is None)):
            needs.add(ROW_TOKENS)
        dataset = _with_signals(extraction, needs, seconds, "")
        reference = {task: _with_signals(source, aims, seconds, " (reference)") for task, source in aimed.items()}
        if wanted[0]:
            extraction.report_copies()
        return cls(inputs, dataset, reference, seconds)

    def select(self, method: Method, budget: Budget, seed: int) -> Selection:
        """Pick rows; a method that asks for further signals once it has seen the first has them read now.

        Args:
            method: one of the methods of the inputs.
            budget: how much to keep.
            seed: of the picks.

        Returns:
            The selection, the same on every process.
        """
        extraction = self.inputs.extraction
        asked: dict[str, Any] = {
            "seed": seed,
            "columns": extraction.columns,
            "task": extraction.models.task,
            "candidates": self.inputs.candidates,
            "labelled": extraction.labelled,
            "on_invalid": self.inputs.on_invalid,
        }
        if method.needs == method.needs_at_first:
            found = on_main_process(
                lambda: select(self.dataset, method, budget, reference=self.reference or None, **asked)
            )
            return self._recorded(found, method, extraction.provenance())
        return self._recorded(select(extraction.dataset, method, budget, **asked, **self._means), method, None)

    def seconds_of(self, method: Method) -> float:
        """What the passes of one method took; a pass that several methods read counts for each of them.

        Args:
            method: one of the methods of the inputs.

        Returns:
            Seconds, loading the model included where the method reads it.
        """
        extraction = self.inputs.extraction
        of_rows = extraction.missing(method.needs_at_first)
        passes = {pass_of(signal, extraction.models).value for signal in of_rows}
        passes |= {f"{pass_of(signal, extraction.models).value} (reference)" for signal in method.reference_needs}
        if any(_uses_model(signal, extraction) for signal in (*of_rows, *method.reference_needs)):
            passes.add(_LOADING)
        return sum(spent for name, spent in self.seconds.items() if name in passes)

    @cached_property
    def _means(self) -> dict[str, Any]:
        """Everything that signals are read with, for ``select``; what was loaded already is not loaded again."""
        extraction, models = self.inputs.extraction, self.inputs.extraction.models
        if models.given_model is not None:
            _load_model(self.inputs)
        options = {name: value for name, value in vars(extraction.options).items() if name != "seed"}
        return {
            "model": models.model if models.given_model is not None else None,
            "tokenizer": models.tokenizer if models.has_tokenizer else None,
            "embedder": models.given_embedder if models.given_embedder in (None, TFIDF) else models.embedder,
            "companions": models.companions,
            "reference": extraction.reference,
            **options,
        }

    def _recorded(self, selection: Selection, method: Method, read_with: dict[str, Any] | None) -> Selection:
        """The selection with the provenance of the dataset that was given, not of the one with columns."""
        given, spent = self.inputs.extraction.dataset, selection.provenance["seconds"]
        provenance = {
            **selection.provenance,
            "dataset": self.inputs.name,
            "dataset_fingerprint": given._fingerprint,
            "signals_given": sorted(signal.name for signal in method.needs if signal.column in given.column_names),
            "seconds": {**spent, "extract": round(self.seconds_of(method) + spent["extract"], 3)},
        }
        if read_with is not None:
            provenance["read_with"] = read_with
        return replace(selection, provenance=provenance)


def _uses_model(signal: Signal[Any], extraction: Extraction) -> bool:
    return pass_of(signal, extraction.models) not in _WITHOUT_THE_MODEL


def _load_model(inputs: Inputs) -> float:
    """Load the model in the dtype that was asked for, once; give the seconds."""
    import torch

    began = time.perf_counter()
    models = inputs.extraction.models
    with named("model_name_or_path", models.given_model):
        model = models.model
    if inputs.dtype != "auto":
        model.to(dtype=getattr(torch, inputs.dtype))
    return time.perf_counter() - began


def _with_signals(extraction: Extraction, needs: Iterable[Signal[Any]], seconds: dict[str, float], of: str) -> Dataset:
    """The dataset with the signals, pass by pass; adds what each pass took to ``seconds``."""
    missing, dataset = extraction.missing(needs), extraction.dataset
    for kind in PASSES:
        if not (now := [signal for signal in missing if pass_of(signal, extraction.models) is kind]):
            continue
        began = time.perf_counter()
        dataset = with_columns(dataset, extraction.read(now))
        seconds[kind.value + of] = seconds.get(kind.value + of, 0.0) + time.perf_counter() - began
    return dataset
