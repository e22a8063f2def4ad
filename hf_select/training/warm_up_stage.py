"""The warm-up stage: a model learns a small labelled set before it judges the other rows of a pool.

Without it the head of a classifier is random, and every score that is read at it is noise.

    labelled rows ──> warm_up ──> model, checkpoints with the state of the optimiser, loss head
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_select.errors import ConfigError, ModelError, RowError
from hf_select.signals.loss_head import LossHead
from hf_select.signals.shards import processes
from hf_select.training.joint_loss import CutGradient, JointLoss, save_loss_head
from hf_select.training.lesson import Lesson, make_lesson
from hf_select.training.replicated_trainer import ReplicatedTrainer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

_DEFAULTS: Mapping[str, Any] = {
    "num_train_epochs": 10,
    "per_device_train_batch_size": 32,
    "learning_rate": 5e-5,
    "lr_scheduler_type": "constant",
    "logging_steps": 1,  # LESS weights a checkpoint by the learning rates that were logged on the way to it
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "remove_unused_columns": False,
    "logging_nan_inf_filter": False,
}


@dataclass(frozen=True)
class WarmUp:
    """A model that has learned the labelled rows.

    Attributes:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        training_loss: mean loss over all steps.
        seconds: what the training took.
        checkpoints: folders of ``Trainer`` checkpoints with the state of the optimiser, first to last; empty unless
            asked for.
        loss_head: the head that predicts the loss of a text; ``None`` unless asked for.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    training_loss: float
    seconds: float
    checkpoints: tuple[Path, ...] = ()
    loss_head: LossHead | None = None


def warm_up(
    model: Any,
    rows: Dataset,
    *,
    tokenizer: Any = None,
    columns: Mapping[str, str] | None = None,
    n_labels: int | None = None,
    template: str | None = None,
    max_length: int | None = None,
    instruction_dropout: bool = True,
    lora: Any = None,
    with_loss_head: bool = False,
    n_checkpoints: int = 0,
    output_dir: str | Path | None = None,
    seed: int = 0,
    **training: Any,
) -> WarmUp:
    """Train a model on labelled rows with the ``Trainer``, so that it can be asked about the others.

    Rows with a label train a sequence classifier, all others a causal language model on their responses. Every process
    trains on all rows, so that any number of processes ends with the weights of one.

    Args:
        model: Hub id, folder or object; an object is trained in place.
        rows: the labelled rows.
        tokenizer: the tokenizer, an object or a name; a model given by name brings its own.
        columns: which column holds what, as in ``extract``.
        n_labels: number of classes, for a classifier given by name; by default the largest label of ``rows`` plus 1.
        template: wording of prompts, as in ``extract``.
        max_length: longest row in tokens; by default what the tokenizer was made for.
        instruction_dropout: show a causal language model every row with a prompt a second time without it, so that it
            learns answers alone (IFD divides by those).
        lora: a ``peft.LoraConfig``: train adapters of that form instead of all weights.
        with_loss_head: train a head beside a classifier that predicts its loss (learning loss); for the last 40 % of
            the steps the head learns alone.
        n_checkpoints: checkpoints to write, evenly spaced, the last at the end.
        output_dir: where the trained model, its tokenizer and the checkpoints go; ``None`` writes nothing.
        seed: draws new weights, the order of the rows and dropout.
        **training: fields of ``TrainingArguments``; by default 10 epochs of AdamW at a constant 5e-5, 32 rows a step.

    Returns:
        The model and what came with it.

    Raises:
        ConfigError: if checkpoints are asked for without a folder or beside a loss head, or there is no tokenizer.
        RowError: if there is no row.
        ModelError: if the loss is not a number.

    Example:
        ``warm_up("microsoft/codebert-base", dataset.select(labelled), n_labels=2).model``
    """
    if n_checkpoints and output_dir is None:
        raise ConfigError(f"n_checkpoints={n_checkpoints} needs a folder to write to; give output_dir=.")
    if n_checkpoints and with_loss_head:
        raise ConfigError(
            "Checkpoints of a joint training with a loss head serve no pass; warm up twice, once for each."
        )
    if len(rows) == 0:
        raise RowError("A warm-up needs labelled rows, and none came; label some, for example 3 % of the pool.")
    lesson = make_lesson(
        model, rows, tokenizer=tokenizer, columns=columns, n_labels=n_labels, template=template,
        max_length=max_length, instruction_dropout=instruction_dropout, seed=seed,
    )  # fmt: skip
    lesson = lesson if lora is None else lesson.with_adapters(lora)
    head = LossHead.for_model(lesson.model, seed=seed) if with_loss_head else None
    settings = {**_DEFAULTS, **training, "seed": seed}
    if output_dir is None:
        with TemporaryDirectory() as folder:
            return _train(lesson, head, Path(folder), 0, settings)
    done = _train(lesson, head, Path(output_dir), n_checkpoints, settings)
    if processes().is_main_process:
        done.model.save_pretrained(output_dir)
        done.tokenizer.save_pretrained(output_dir)
        if head is not None:
            save_loss_head(head, Path(output_dir))
    processes().wait_for_everyone()
    return done


def _train(
    lesson: Lesson, head: LossHead | None, folder: Path, n_checkpoints: int, settings: Mapping[str, Any]
) -> WarmUp:
    """Train the lesson, and check that its loss is a number."""
    has_accelerator = torch.accelerator.is_available()
    settings = {"use_cpu": not has_accelerator, "dataloader_pin_memory": has_accelerator, **settings}
    saving = _SaveEvenly(n_checkpoints)
    joint = None if head is None else JointLoss(lesson.model, head)
    trainer = ReplicatedTrainer(
        model=lesson.model if joint is None else joint,
        args=TrainingArguments(output_dir=str(folder), **settings),
        train_dataset=lesson.features,
        data_collator=lesson.collator,
        processing_class=lesson.tokenizer,
        callbacks=[saving] if joint is None else [saving, CutGradient(joint)],
    )
    trainer.remove_callback(PrinterCallback)
    began = time.perf_counter()
    with lesson.attention():
        loss = float(trainer.train().training_loss)
    seconds = time.perf_counter() - began
    if not math.isfinite(loss):
        raise ModelError(
            f"The loss of the warm-up is {loss} (learning_rate={trainer.args.learning_rate:g}). Lower the learning "
            f"rate, train in bfloat16 instead of float16, or look for broken rows."
        )
    del trainer
    gc.collect()  # with it go the hooks that DDP left on the parameters, which would wait for the other processes
    checkpoints = tuple(folder / f"checkpoint-{step}" for step in sorted(saving.steps))
    return WarmUp(
        lesson.model.eval(), lesson.tokenizer, loss, seconds, checkpoints, None if head is None else head.eval()
    )


class _SaveEvenly(TrainerCallback):
    """Has the ``Trainer`` write a number of checkpoints, evenly spaced, the last at the end."""

    def __init__(self, n_checkpoints: int) -> None:
        self.n_checkpoints = n_checkpoints
        self.steps: set[int] = set()

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Work out the steps."""
        parts = range(1, self.n_checkpoints + 1)
        self.steps = {max(1, round(state.max_steps * part / self.n_checkpoints)) for part in parts}

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Ask for a checkpoint at those."""
        if state.global_step in self.steps:
            control.should_save = True
