"""A cell of the generation task: a fresh causal language model, trained on packed batches, measured on benchmarks."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hf_select.experiment.measure import measure
from hf_select.experiment.model import load_trained
from hf_select.experiment.pool import rows_without_room, training_features
from hf_select.experiment.process import on_main_process
from hf_select.experiment.train import train
from hf_select.experiment.uncontaminated import CLEAN_MEASURES, uncontaminated
from hf_select.grid.base import BaseModel
from hf_select.grid.data import GridData
from hf_select.grid.setting import GridSetting
from hf_select.signals.keys import Indices

_VALIDATION = "validation"


def drop_rows_without_room(data: GridData, base: BaseModel) -> GridData:
    """Leave out rows whose prompt alone fills ``max_length``, as far as the user said so.

    Args:
        data: the rows.
        base: the model, whose tokenizer counts.

    Returns:
        The rows that have something to learn.

    Raises:
        RowError: if there are such rows and ``--drop_long_prompts`` was not given.
    """
    asked = base.arguments.data
    features = training_features(data.dataset, data.pool.row_format, base.tokenizer, asked.template, asked.max_length)
    kept = np.flatnonzero(~rows_without_room(features, drop=asked.drop_long_prompts, max_length=asked.max_length))
    return replace(
        data,
        pool=replace(data.pool, dataset=data.dataset.select(kept)),
        texts=[data.texts[row] for row in kept],
        groups=[data.groups[row] for row in kept],
    )


def train_generator(setting: GridSetting, rows: Indices, folder: Path) -> dict[str, Any]:
    """Fine-tune a fresh language model on rows of the pool, and measure its loss and, if code may run, pass@1.

    pass@1 is also given without the problems that these rows hold, of every benchmark that can leak.

    Args:
        setting: what the seed works on.
        rows: rows of the pool to train on.
        folder: for the model; removed at the end.

    Returns:
        The measures as plain data.
    """
    arguments, base = setting.arguments.experiment, setting.base
    on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))  # what a killed cell left
    features = setting.generation_features.select(rows)
    record = train(base.fresh(setting.seed), base.tokenizer, features, arguments, seed=setting.seed, folder=folder)
    model = load_trained(folder, arguments.model, base.tokenizer, seed=setting.seed)
    held_out = setting.data.pool.row_format.read(setting.validation)
    pool = replace(setting.data.pool, validation={_VALIDATION: held_out})
    measured = measure(model, base.tokenizer, pool, arguments, folder / "samples")
    del model
    leaked = setting.leaked(rows)
    benchmarks = on_main_process(lambda: uncontaminated(measured["benchmarks"], leaked, folder / "samples"))
    on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))
    first = next(iter(benchmarks.values()), {})
    return {
        **{name: value for name, value in record.to_dict().items() if name != "loss_history"},
        "validation_loss": measured["validation_losses"][_VALIDATION],
        "pass_at_1": first.get("pass_at_1"),
        "n_problems": first.get("n_problems", 0),
        **{name: first[name] for name in CLEAN_MEASURES if name in first},
        "benchmarks": benchmarks,
    }
