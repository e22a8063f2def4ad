"""Training with the stock ``Trainer``: from nothing, or on from a checkpoint with the state of its optimiser."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.experiment.process import on_main_process
from hf_select.experiment.train import attention_of, make_collator
from hf_select.study.schedule import Schedule
from hf_select.study.setting import StudySetting

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer, TrainerCallback


@dataclass(frozen=True)
class StudyTraining:
    """What a training took.

    Attributes:
        tokens: tokens trained on, padding apart.
        training_seconds: wall time, callbacks included.
        padding_fraction: share of padding in the batches of this process.
        peak_memory_bytes: peak of GPU memory, else of resident memory.
        loss_history: ``[step, loss]`` as logged.
    """

    tokens: int
    training_seconds: float
    padding_fraction: float | None
    peak_memory_bytes: int
    loss_history: list[list[float]]

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def train_study(
    setting: StudySetting,
    model: Any,
    rows: Dataset,
    folder: Path,
    schedule: Schedule,
    *,
    callbacks: Sequence[TrainerCallback] = (),
    start: Path | None = None,
) -> StudyTraining:
    """Train a model on rows for the steps of a schedule.

    A training that was cut off goes on from its last whole checkpoint in ``folder``, if it wrote any.

    Args:
        setting: what the seed works on.
        model: the model; trained in place.
        rows: tokenised rows.
        folder: for checkpoints.
        schedule: steps and learning rate.
        callbacks: more callbacks.
        start: checkpoint whose optimiser goes on; ``None`` for a new one.

    Returns:
        What it took.
    """
    from hf_select.callbacks import EfficiencyCallback
    from hf_select.training.resume import last_whole_checkpoint

    arguments = setting.arguments.experiment
    collator = make_collator(setting.tokenizer, arguments)
    watch = EfficiencyCallback(collator.stats)
    trainer = _trainer(
        setting, model, rows, collator, [watch, *callbacks], _settings(setting, folder, schedule, len(rows))
    )
    if start is not None:
        _load_optimizer(trainer, start)
    checkpoint = last_whole_checkpoint(folder)
    with attention_of(model, arguments):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    on_main_process(lambda: _remove_pickles(folder))
    history = [[entry["step"], float(entry["loss"])] for entry in trainer.state.log_history if "loss" in entry]
    return StudyTraining(
        tokens=_of_all_processes(collator.stats.n_tokens),
        training_seconds=watch.seconds,
        padding_fraction=collator.stats.padding_fraction if collator.stats.n_tokens else None,
        peak_memory_bytes=watch.peak_memory_bytes,
        loss_history=history,
    )


def _trainer(
    setting: StudySetting, model: Any, rows: Dataset, collator: Any, callbacks: list[Any], settings: Any
) -> Trainer:
    from transformers import PrinterCallback, Trainer

    from hf_select.callbacks import FiniteLossCallback, LastStepCallback

    trainer = Trainer(
        model=model,
        args=settings,
        train_dataset=rows,
        data_collator=collator,
        processing_class=setting.tokenizer,
        callbacks=[FiniteLossCallback(), LastStepCallback(), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _settings(setting: StudySetting, folder: Path, schedule: Schedule, n_rows: int) -> Any:
    """The arguments of the run with those of this training.

    A step sees the same rows on any number of processes, and equally many in every training: few rows come round often,
    and each time round would end in a short batch.
    """
    from transformers.trainer_utils import SaveStrategy

    settings = copy.copy(setting.arguments.training)
    batch_size = settings.per_device_train_batch_size
    changes = {
        **schedule.settings,
        "output_dir": str(folder),
        "seed": setting.seed,
        "per_device_train_batch_size": max(1, batch_size // settings.world_size),
        "dataloader_drop_last": n_rows >= batch_size,
        "save_strategy": SaveStrategy.NO,
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
    }
    for name, value in changes.items():
        setattr(settings, name, value)
    return settings


def _remove_pickles(folder: Path) -> None:
    """Remove the arguments that the ``Trainer`` saves: a pickle that can hold an access token."""
    for path in folder.rglob("training_args.bin"):
        path.unlink()


def _load_optimizer(trainer: Trainer, checkpoint: Path) -> None:
    """Give the trainer the optimiser of a checkpoint, at the stable learning rate."""
    import torch

    from hf_select.signals.gradients.optimizer import optimizer_file
    from hf_select.study.sharded_optimizer import ShardedOptimizerCallback

    stored = torch.load(optimizer_file(checkpoint), map_location="cpu", weights_only=True)
    if trainer.is_fsdp_enabled:
        trainer.callback_handler.callbacks.insert(0, ShardedOptimizerCallback(stored))  # before those that read it
        return
    optimizer = trainer.create_optimizer()
    optimizer.load_state_dict(stored)
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = trainer.args.learning_rate


def _of_all_processes(n: int) -> int:
    from accelerate.utils import gather_object

    return int(sum(gather_object([n])))
