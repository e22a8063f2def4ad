"""Training on from one checkpoint on the rows of high influence, of low influence, and on random ones."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import numpy as np

from hf_select.experiment.process import on_main_process
from hf_select.experiment.uncontaminated import CLEAN_MEASURES
from hf_select.signals.keys import Indices
from hf_select.study.base_run import load_checkpoint, measure_checkpoint
from hf_select.study.measurement import MeasurementCallback, clean_measures, mean_loss, pass_at_1, pass_at_1_tasks
from hf_select.study.schedule import Schedule
from hf_select.study.score import StudyScores
from hf_select.study.setting import StudySetting
from hf_select.study.trainer import train_study

logger = logging.getLogger("hf_select")

TOP, BOTTOM, RANDOM = "top", "bottom", "random"


def halves(scores: StudyScores, seed: int) -> dict[str, Indices]:
    """The better half of the scored rows, the worse half, and a random half.

    Args:
        scores: the scores; rows without one are in no half.
        seed: draws the random half.

    Returns:
        Row ids of the pool, ascending, by name; all halves are of one size.
    """
    known = np.flatnonzero(np.isfinite(scores.at_start))
    order = known[np.argsort(-scores.at_start[known], kind="stable")]
    n_half = len(order) // 2
    drawn = np.random.default_rng([seed, 2]).permutation(known)[:n_half]
    places = {TOP: order[:n_half], BOTTOM: order[len(order) - n_half :], RANDOM: drawn}
    return {name: np.sort(scores.rows[place]) for name, place in places.items()}


def train_halves(setting: StudySetting, scores: StudyScores) -> list[dict[str, Any]]:
    """Train on every half from the same checkpoint, at the stable learning rate, and measure on the way.

    Args:
        setting: what the seed works on.
        scores: the scores.

    Returns:
        The entries of ``results.json``; none where halves have no step.
    """
    if setting.arguments.study.half_steps == 0:
        return []
    return [_half(setting, name, rows) for name, rows in halves(scores, setting.seed).items()]


def _half(setting: StudySetting, half: str, rows: Indices) -> dict[str, Any]:
    study, folder = setting.arguments.study, setting.run.folder / "halves" / half / setting.name
    schedule = Schedule.of(study.half_steps)
    points = schedule.checkpoints(min(study.n_half_points, study.half_steps))

    def compute() -> list[Any]:
        on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))  # what a killed run left
        callback = MeasurementCallback(setting, points, rows)
        train_study(
            setting,
            load_checkpoint(setting, setting.start),
            setting.pool.features.select(rows),
            folder,
            schedule,
            callbacks=[callback],
            start=setting.checkpoint(setting.start),
        )
        on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))
        logger.info("Seed %d: the %s half, %d rows, %d steps.", setting.seed, half, len(rows), study.half_steps)
        return callback.found

    kind = "halves" if setting.arguments.executes_code else "halves-without-execution"
    found = setting.run.stage(f"{kind}/{setting.name}/{half}", compute)
    points_found = [(0, measure_checkpoint(setting, setting.start)), *found]
    losses = [measures["validation_loss"] for _, measures in points_found]
    tasks = pass_at_1_tasks(setting)
    passed = [pass_at_1([measures["metric"]], tasks)[0] for _, measures in points_found]
    clean = [clean_measures(measures["metric"]) for _, measures in points_found]
    return {
        "seed": setting.seed,
        "half": half,
        "steps": [step for step, _ in points_found],
        "validation_loss": {task: [of_point[task] for of_point in losses] for task in setting.references},
        "mean_validation_loss": [mean_loss(of_point) for of_point in losses],
        "pass_at_1": None if None in passed else passed,
        **{name: [of_point[name] for of_point in clean] for name in CLEAN_MEASURES},
    }
