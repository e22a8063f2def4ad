"""What a model is worth now: its loss on the reference rows of every task, and the metrics that can be measured."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_select.experiment.uncontaminated import CLEAN_MEASURES, without_leaked
from hf_select.extract import extract
from hf_select.signals.keys import RESPONSE_NLL, Indices
from hf_select.study.setting import StudySetting
from hf_select.training.attention import plain_attention
from hf_select.training.gathered import gathered
from hf_select.training.random_state import random_state_kept

if TYPE_CHECKING:
    from hf_select.study.reference import Reference

PASS_AT_1 = "pass@1"


def measure_study(model: Any, setting: StudySetting, rows: Indices) -> dict[str, Any]:
    """Measure a model.

    Args:
        model: the model, possibly sharded.
        setting: what the seed works on.
        rows: row ids of the pool that it was trained on, besides those of the base run.

    Returns:
        ``validation_loss`` (nats per token, mean over the rows of each task) and ``metric`` (``value``, ``interval``
        ``n_problems`` and ``sandbox`` of each task, ``None`` where it is not measured), by task; of tasks whose
        problems were looked for in the rows also ``CLEAN_MEASURES``, pass@1 without the problems that were found.
    """
    references, leaked = setting.references.values(), setting.leaked(rows)
    with gathered(model):
        return {
            "validation_loss": {reference.task.name: _loss(model, setting, reference) for reference in references},
            "metric": {reference.task.name: _metric(model, setting, reference, leaked) for reference in references},
        }


def _loss(model: Any, setting: StudySetting, reference: Reference) -> float | None:
    """The loss that DIScore is about: the mean over the rows of their mean over tokens."""
    options = setting.extraction_options
    scored = extract(reference.features, {RESPONSE_NLL}, model=model, cache_dir=False, progress=False, **options)
    loss = float(np.nanmean(np.asarray(scored[RESPONSE_NLL.column], dtype=np.float64)))
    return loss if math.isfinite(loss) else None


def _metric(
    model: Any, setting: StudySetting, reference: Reference, leaked: Mapping[str, Collection[str]]
) -> dict[str, Any] | None:
    arguments, task = setting.arguments, reference.task
    if not reference.is_measured(executes_code=arguments.executes_code):
        return None
    score = task.measure(
        model,
        setting.tokenizer,
        allow_code_eval=arguments.evaluation.allow_code_eval or None,
        max_new_tokens=arguments.evaluation.max_new_tokens,
        batch_size=arguments.evaluation.evaluation_batch_size,
        max_problems=arguments.evaluation.max_problems,
        progress=False,
    )
    if score is None or score.value is None:
        return None
    interval = None if score.interval is None else [float(end) for end in score.interval]
    sandbox = score.containment._asdict() if score.containment else None
    found = {
        "value": float(score.value),
        "interval": interval,
        "n_problems": int(score.n_problems),
        "sandbox": sandbox,
    }
    if task.name not in leaked:
        return found
    passed = {sample.task_id: [sample.passed] for sample in score.samples if sample.status != "refused"}
    return found | without_leaked(passed, leaked[task.name])


def values_of(metric: Mapping[str, Mapping[str, Any] | None]) -> dict[str, float | None]:
    """The metric of every task as a number.

    Args:
        metric: from ``measure_study``.

    Returns:
        The values.
    """
    return {task: None if found is None else float(found["value"]) for task, found in metric.items()}


def mean_loss(losses: Mapping[str, float | None]) -> float | None:
    """The mean over the tasks whose loss is known.

    Args:
        losses: loss of each task.

    Returns:
        The mean; ``None`` where there is none.
    """
    known = [loss for loss in losses.values() if loss is not None]
    return sum(known) / len(known) if known else None


def pass_at_1(
    metrics: Sequence[Mapping[str, Mapping[str, Any] | None]], tasks: Collection[str]
) -> tuple[float | None, list[float] | None]:
    """pass@1 over the problems of several tasks and seeds together.

    Args:
        metrics: the metric of every task, one mapping for every seed.
        tasks: names of the tasks whose metric is pass@1.

    Returns:
        Value and 95 % interval; ``None`` where nothing was measured.
    """
    from hf_select.evaluation.pass_at_k import wilson

    found = [metric[task] for metric in metrics for task in tasks]
    known = [entry for entry in found if entry is not None]
    n_problems = sum(entry["n_problems"] for entry in known)
    if n_problems == 0:
        return None, None
    n_passed = round(sum(entry["value"] * entry["n_problems"] for entry in known))
    return n_passed / n_problems, list(wilson(n_passed, n_problems))


def clean_measures(metric: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """``CLEAN_MEASURES`` over the problems of several tasks together.

    Args:
        metric: from ``measure_study``.

    Returns:
        The measures; ``None`` where no problem was looked for in the rows.
    """
    found = [entry for entry in metric.values() if entry is not None and entry.get("n_leaked_problems") is not None]
    if not found:
        return dict.fromkeys(CLEAN_MEASURES)
    shares = [(entry["pass_at_1_uncontaminated"], entry["n_uncontaminated"]) for entry in found]
    n_left = sum(n for _, n in shares)
    n_passed = sum(share * n for share, n in shares if share is not None)
    n_leaked = sum(entry["n_leaked_problems"] for entry in found)
    return dict(zip(CLEAN_MEASURES, (n_leaked, n_left, n_passed / n_left if n_left else None), strict=True))


def pass_at_1_tasks(setting: StudySetting) -> list[str]:
    """Names of the tasks whose metric is pass@1."""
    return [name for name, reference in setting.references.items() if reference.task.metric == PASS_AT_1]


class MeasurementCallback(TrainerCallback):
    """Measures the model at some steps of a training; weights, order and random state are left as found.

    Args:
        setting: what the seed works on.
        steps: the steps.
        rows: row ids of the pool that the training draws from.

    Attributes:
        found: step and measures, in order.
    """

    def __init__(self, setting: StudySetting, steps: Collection[int], rows: Indices) -> None:
        self._setting, self._steps, self._rows = setting, frozenset(steps), rows
        self.found: list[tuple[int, dict[str, Any]]] = []

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 (the hook's signature is the Trainer's)
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        *,
        model: Any = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Measure if it is time."""
        if state.global_step not in self._steps:
            return
        modes = [(module, module.training) for module in model.modules()]
        try:
            with random_state_kept(), plain_attention(model):
                self.found.append((state.global_step, measure_study(model.eval(), self._setting, self._rows)))
        finally:
            for module, training in modes:
                module.training = training
