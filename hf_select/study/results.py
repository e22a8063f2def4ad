"""What a study writes: ``results.json``."""

from __future__ import annotations

import math
import shlex
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from hf_select.experiment.gating import count_leaks
from hf_select.experiment.results import versions
from hf_select.experiment.uncontaminated import CLEAN_MEASURES
from hf_select.study.arguments import DiscoreArguments
from hf_select.study.correlation import between_checkpoints, between_tasks, loss_and_metric
from hf_select.study.measurement import clean_measures, mean_loss, pass_at_1, pass_at_1_tasks, values_of
from hf_select.study.score import StudyScores
from hf_select.study.setting import DYNAMIC, StudySetting
from hf_select.study.spread import by_language, extremes

_MEANS = (
    *("rows", "tokens", "selection_seconds", "training_seconds", "padding_fraction", "peak_memory_bytes"),
    *("validation_loss", *CLEAN_MEASURES),
)


@dataclass(frozen=True)
class SeedOutcome:
    """What one seed gave.

    Attributes:
        setting: what it worked on.
        checkpoints: entries of the checkpoints.
        scores: DIScore of the scored rows.
        floor: agreement of the score with itself on other reference rows.
        calibration: agreement with the oracle; of the first seed alone.
        halves: entries of the halves.
        arms: measures of every arm, by name.
        other_scores: entries of other scores; of the first seed alone.
        predictor: the predictor; of the first seed alone.
        left_out: what is not there, and why.
    """

    setting: StudySetting
    checkpoints: list[dict[str, Any]]
    scores: StudyScores
    floor: float | None
    calibration: dict[str, Any] | None
    halves: list[dict[str, Any]]
    arms: dict[str, dict[str, Any]]
    other_scores: list[dict[str, Any]]
    predictor: dict[str, Any] | None
    left_out: dict[str, str]


def study_results(arguments: DiscoreArguments, outcomes: Sequence[SeedOutcome]) -> dict[str, Any]:
    """The content of ``results.json``.

    Args:
        arguments: the arguments of the run.
        outcomes: what the seeds gave, in their order.

    Returns:
        The results as plain data; what is not finite is ``None``.
    """
    first = outcomes[0]
    training = [{"seed": outcome.setting.seed, "checkpoints": outcome.checkpoints} for outcome in outcomes]
    dynamic = first.arms.get(DYNAMIC, {})
    results = {
        "recipe": "discore",
        "command": shlex.join(["accelerate", "launch", *sys.argv]),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "config": arguments.settings(),
        "dataset": _dataset(first.setting),
        "tasks": [reference.summary() for reference in first.setting.references.values()],
        "seeds": [outcome.setting.seed for outcome in outcomes],
        "gates": first.setting.pool.dropped.counts,
        "gates_not_checked": dict(first.setting.pool.dropped.not_checked),
        "leakage": count_leaks(first.setting.leaks),
        "sandbox": _sandbox(first.checkpoints),
        "start_step": first.setting.start,
        "arms": [_arm(name, outcomes) for name in first.arms],
        "calibration": first.calibration,
        "n_reselections": len(dynamic.get("selections", ())),
        "training": training,
        "loss_and_metric": loss_and_metric(training, first.scores.tasks),
        "halves": [entry for outcome in outcomes for entry in outcome.halves],
        "between_checkpoints": between_checkpoints(first.scores, first.floor),
        "between_tasks": between_tasks(first.scores),
        "extremes": extremes(first.scores),
        "by_language": by_language(first.scores, first.setting.pool.languages),
        "other_scores": first.other_scores,
        "predictor": first.predictor,
        "ledgers": [
            {"seed": outcome.setting.seed, "selections": outcome.arms[DYNAMIC]["selections"]}
            for outcome in outcomes
            if DYNAMIC in outcome.arms
        ],
        "losses": [_curve(outcome, name) for outcome in outcomes for name in outcome.arms],
        "left_out": {**unmeasured(first.setting), **first.left_out},
    }
    plain: dict[str, Any] = finite(results)
    return plain


def _sandbox(checkpoints: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How programs were contained; ``None`` where none ran."""
    measures = [entry.get("measures") or {} for entry in checkpoints]
    return next(
        (found["sandbox"] for tasks in measures for found in tasks.values() if found and found.get("sandbox")), None
    )


def unmeasured(setting: StudySetting) -> dict[str, str]:
    """Why the metric of a task was not measured.

    Args:
        setting: what the seed works on.

    Returns:
        The reasons, by ``"metric of <task>"``.
    """
    reasons = {}
    for name, reference in setting.references.items():
        if reference.task.metric is None:
            reasons[f"metric of {name}"] = reference.task.unmeasured or "the task has none."
        elif not reference.is_measured(executes_code=setting.arguments.executes_code):
            reasons[f"metric of {name}"] = (
                f"{reference.task.metric} runs what the model writes, which needs your word: set HF_ALLOW_CODE_EVAL=1 "
                f"or give --allow_code_eval."
            )
    return reasons


def finite(value: Any) -> Any:
    """Plain data with ``None`` in place of every number that is not finite.

    Args:
        value: plain data.

    Returns:
        The same without NaN and infinity.
    """
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _dataset(setting: StudySetting) -> dict[str, Any]:
    pool, split = setting.pool, setting.split
    return {
        "name": pool.name,
        "n_rows": len(pool),
        "n_pool": len(split.base),
        "n_held_out": len(split.candidates),
        "n_scored": len(split.scored),
        "n_before_gates": pool.dropped.n_before,
        "n_left_out_as_leaking": pool.dropped.n_leaking,
        "n_tokens": int(pool.lengths.sum()),
        "languages": dict(sorted(Counter(pool.languages).items())),
    }


def _arm(name: str, outcomes: Sequence[SeedOutcome]) -> dict[str, Any]:
    """One arm over all seeds."""
    per_seed = [_arm_of_seed(outcome, name) for outcome in outcomes]
    tasks = pass_at_1_tasks(outcomes[0].setting)
    value, interval = pass_at_1([outcome.arms[name]["measures"]["metric"] for outcome in outcomes], tasks)
    return {
        "name": name,
        **{key: _mean([entry[key] for entry in per_seed]) for key in _MEANS},
        "pass_at_1": value,
        "pass_at_1_interval": interval,
        "seeds": [entry["seed"] for entry in per_seed],
        "validation_loss_by_task": _means(per_seed, "validation_loss_by_task"),
        "metric_by_task": _means(per_seed, "metric_by_task"),
        "per_seed": per_seed,
    }


def _arm_of_seed(outcome: SeedOutcome, name: str) -> dict[str, Any]:
    found = outcome.arms[name]
    measures = found["measures"]
    kept = (
        *("seed", "rows", "tokens", "selection_seconds", "training_seconds"),
        *("padding_fraction", "peak_memory_bytes"),
    )
    tasks = pass_at_1_tasks(outcome.setting)
    value, interval = pass_at_1([measures["metric"]], tasks)
    asked = [entry["n_problems"] for task in tasks if (entry := measures["metric"][task]) is not None]
    return {
        **{key: found[key] for key in kept},
        "n_problems": sum(asked),
        "validation_loss": mean_loss(measures["validation_loss"]),
        "validation_loss_by_task": measures["validation_loss"],
        "metric_by_task": values_of(measures["metric"]),
        "pass_at_1": value,
        "pass_at_1_interval": interval,
        **clean_measures(measures["metric"]),
        "benchmarks": {task: _benchmark(entry) for task in tasks if (entry := measures["metric"][task]) is not None},
    }


def _benchmark(entry: Mapping[str, Any]) -> dict[str, Any]:
    """pass@1 of one task in the words of the other recipes."""
    kept = {name: entry[name] for name in ("n_problems", *CLEAN_MEASURES) if name in entry}
    return {"pass_at_1": entry["value"], "pass_at_1_interval": entry["interval"], **kept}


def _curve(outcome: SeedOutcome, arm: str) -> dict[str, Any]:
    history = outcome.arms[arm]["loss_history"]
    steps, losses = [int(step) for step, _ in history], [loss for _, loss in history]
    return {"seed": outcome.setting.seed, "arm": arm, "steps": steps, "loss": losses}


def _means(per_seed: Sequence[Mapping[str, Any]], key: str) -> dict[str, float | None]:
    return {task: _mean([entry[key][task] for entry in per_seed]) for task in per_seed[0][key]}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
