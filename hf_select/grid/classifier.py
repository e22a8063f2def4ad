"""A cell of the classification task: a fresh classifier, trained with early stopping, measured on the test rows."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.experiment.process import on_main_process
from hf_select.grid.setting import GridSetting
from hf_select.signals.keys import Indices, Integers

if TYPE_CHECKING:
    from transformers import Trainer, TrainingArguments

_EVALUATION_BATCH = 64


def train_classifier(setting: GridSetting, rows: Indices, folder: Path) -> dict[str, Any]:
    """Fine-tune a fresh classifier until the validation loss stops falling, and measure its best state.

    Args:
        setting: what the seed works on.
        rows: rows of the pool to train on.
        folder: for checkpoints; removed at the end.

    Returns:
        The measures as plain data.
    """
    from hf_select.callbacks import EfficiencyCallback

    on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))  # what a killed cell left
    watch = EfficiencyCallback()
    features = [setting.pool_features[row] for row in rows]
    trainer = _trainer(setting, features, folder, watch)
    outcome = trainer.train()
    test = setting.test_features
    predicted = np.argmax(_logits(trainer, test), axis=-1)
    measures = {
        "rows": len(rows),
        "tokens": sum(len(row["input_ids"]) for row in features),
        "steps": trainer.state.global_step,
        "epochs": float(trainer.state.epoch or 0.0),
        "training_seconds": watch.seconds,
        "peak_memory_bytes": watch.peak_memory_bytes,
        "training_loss": float(outcome.training_loss),
        "validation_loss": trainer.state.best_metric,
        **scores(predicted, np.array([row["labels"] for row in test]), setting.data.n_labels),
    }
    del trainer
    on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))
    return measures


def scores(predicted: Integers, labels: Integers, n_labels: int) -> dict[str, Any]:
    """Accuracy and F1 of predictions.

    Args:
        predicted: ``(N,)`` predicted classes.
        labels: ``(N,)`` true classes.
        n_labels: number of classes.

    Returns:
        ``accuracy``, ``f1`` (of class 1 where there are two classes, else the mean over the classes) and ``n_test``.
    """
    from sklearn.metrics import accuracy_score, f1_score

    classes, average = ([1], "binary") if n_labels == 2 else (list(range(n_labels)), "macro")
    f1 = f1_score(labels, predicted, labels=classes, average=average, zero_division=0.0)
    return {"accuracy": float(accuracy_score(labels, predicted)), "f1": float(f1), "n_test": len(labels)}


def _logits(trainer: Trainer, features: Sequence[Any]) -> Any:
    found = trainer.predict(features).predictions  # type: ignore[arg-type]  # a list has all it takes
    return found[0] if isinstance(found, tuple) else found


def _trainer(setting: GridSetting, features: Sequence[Any], folder: Path, watch: Any) -> Trainer:
    from transformers import DataCollatorWithPadding, EarlyStoppingCallback, PrinterCallback, Trainer

    from hf_select.callbacks import FiniteLossCallback

    patience = EarlyStoppingCallback(setting.arguments.run.early_stopping_patience)
    trainer = Trainer(
        model=setting.base.fresh(setting.seed),
        args=_settings(setting, folder),
        train_dataset=features,
        eval_dataset=setting.validation_features,
        data_collator=DataCollatorWithPadding(setting.base.tokenizer),
        processing_class=setting.base.tokenizer,
        callbacks=[watch, FiniteLossCallback(), patience],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _settings(setting: GridSetting, folder: Path) -> TrainingArguments:
    """The arguments of the run with what every cell needs: the loss of each epoch, and the best state at the end."""
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy

    settings = copy.copy(setting.arguments.training)
    changes = {
        "output_dir": str(folder),
        "seed": setting.seed,
        "eval_strategy": IntervalStrategy.EPOCH,
        "save_strategy": SaveStrategy.BEST,
        "save_total_limit": 1,
        "save_only_model": True,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "per_device_train_batch_size": max(1, settings.per_device_train_batch_size // settings.world_size),
        "per_device_eval_batch_size": _EVALUATION_BATCH,
        "average_tokens_across_devices": False,  # a classifier's loss is a mean over rows
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
    }
    for name, value in changes.items():
        setattr(settings, name, value)
    return settings
