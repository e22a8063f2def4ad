"""What a run is going to cost, said before it begins."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_select.experiment.arguments import Arguments
from hf_select.experiment.arm import Arm
from hf_select.experiment.model import load_model, n_parameters
from hf_select.experiment.process import on_main_process
from hf_select.experiment.run import Run
from hf_select.experiment.setting import Setting
from hf_select.experiment.train import attention_of, make_collator
from hf_select.files import require_free_space

logger = logging.getLogger("hf_select")

_SAMPLE_BATCHES = 3
_MAX_SAMPLED_PARAMETERS = 100_000_000


def announce(setting: Setting, arms: Sequence[Arm]) -> None:
    """Say how many rows and tokens the arms will train on, and about how long that takes.

    The time comes from a few forward and backward passes of a model of up to 100 M parameters; above that loading it
    twice costs more than the estimate is worth, and only the tokens are told.

    Args:
        setting: what the trial works on.
        arms: the arms that will be trained.
    """
    epochs = setting.arguments.training.num_train_epochs
    lengths = [len(ids) for ids, left in zip(setting.rows["input_ids"], ~setting.roomless, strict=True) if left]
    n_rows, mean_tokens = len(lengths), sum(lengths) / len(lengths)
    n_trained = sum(_rows_of(arm, n_rows) for arm in arms) * epochs
    n_tokens = mean_tokens * n_trained
    told = (
        f"{len(arms)} arms, seed {setting.seed}: {n_rows} rows of {mean_tokens:.0f} tokens, "
        f"{n_tokens / 1e6:.2f} M tokens to train on"
    )
    rate = on_main_process(lambda: _tokens_per_second(setting))
    if rate:
        told += f", about {n_tokens / rate / 60:.1f} minutes of training (from {_SAMPLE_BATCHES} timed batches)"
    logger.info("%s.", told)


def _rows_of(arm: Arm, n_rows: int) -> int:
    """Rows an arm will train on, as far as that is known before the selection."""
    return n_rows if arm.budget is None else arm.budget.n_rows(n_rows)


def check_disk_space(run: Run, arguments: Arguments, n_models: int) -> None:
    """Stop before long work if the models of all arms will not fit on the disk.

    Args:
        run: the run folder.
        arguments: the arguments of the run.
        n_models: models that will be saved.

    Raises:
        DiskSpaceError: if less is free than they take.
    """
    if arguments.model.use_peft:
        return
    n_bytes = 2 if arguments.model.dtype in ("bfloat16", "float16") else 4
    require_free_space(run.folder, n_models * n_bytes * n_parameters(arguments.model.model_name_or_path))


def _tokens_per_second(setting: Setting) -> float | None:
    """Speed of training on this machine, from a few batches; ``None`` for a model too large to load for that."""
    if n_parameters(setting.arguments.model.model_name_or_path) > _MAX_SAMPLED_PARAMETERS:
        return None
    model: Any = load_model(setting.arguments.model, setting.tokenizer, seed=setting.seed)
    model.to(setting.arguments.training.device)
    collator = make_collator(setting.tokenizer, setting.arguments)
    size = setting.arguments.training.per_device_train_batch_size
    usable = list(setting.rows.select(np.flatnonzero(~setting.roomless)[:size]))
    batch = {
        name: value.to(model.device) if hasattr(value, "to") else value for name, value in collator(usable).items()
    }
    with attention_of(model, setting.arguments):
        model(**batch).loss.backward()
        began = time.perf_counter()
        for _ in range(_SAMPLE_BATCHES):
            model(**batch).loss.backward()
    seconds = time.perf_counter() - began
    return _SAMPLE_BATCHES * sum(len(row["input_ids"]) for row in usable) / seconds
