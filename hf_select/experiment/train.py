"""Training one arm with the stock ``Trainer``."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.errors import ConfigError
from hf_select.experiment.arguments import Arguments
from hf_select.experiment.model import PACKED

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

    from hf_select.training.collator import DynamicPackCollator
    from hf_select.training.padding import PaddingCollator


@dataclass(frozen=True)
class TrainingRecord:
    """What training one arm took.

    Attributes:
        rows: rows trained on.
        tokens: tokens of one epoch, padding apart.
        steps: optimiser steps.
        training_seconds: wall time.
        padding_fraction: share of padding in the batches of this process; ``None`` where workers collated.
        peak_memory_bytes: peak of GPU memory, else of resident memory.
        training_loss: mean loss over all steps, also those before a resumption.
        loss_history: ``[step, loss]`` as logged.
    """

    rows: int
    tokens: int
    steps: int
    training_seconds: float
    padding_fraction: float | None
    peak_memory_bytes: int
    training_loss: float
    loss_history: list[list[float]]

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Any],
    arguments: Arguments,
    *,
    seed: int,
    folder: Path,
    **settings: Any,
) -> TrainingRecord:
    """Train a model on tokenised rows and save it.

    A training that was killed goes on from its last whole checkpoint, if the arguments make it write any
    (``--save_strategy``).

    Args:
        model: the model; trained in place.
        tokenizer: its tokenizer.
        rows: features with ``input_ids`` and ``labels`` (a dataset or a list).
        arguments: the arguments of the run.
        seed: order of the rows, dropout.
        folder: where the model and its checkpoints go.
        **settings: fields of ``TrainingArguments`` that differ from the arguments of the run.

    Returns:
        What it took.

    Raises:
        ConfigError: if there is no row to train on.
    """
    from hf_select.training.resume import last_whole_checkpoint

    if len(rows) == 0:
        raise ConfigError("There is no row to train on; check the budget and the gates.")
    settings |= {"seed": seed, "output_dir": str(folder)}
    trainer, collator, watch = _trainer(model, tokenizer, rows, arguments, settings)
    checkpoint = last_whole_checkpoint(folder)
    with attention_of(model, arguments):
        outcome = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle that can hold an access token
    history = [[entry["step"], float(entry["loss"])] for entry in trainer.state.log_history if "loss" in entry]
    counted = arguments.training.dataloader_num_workers == 0 and collator.stats.n_tokens > 0
    return TrainingRecord(
        rows=len(rows),
        tokens=sum(len(ids) for ids in _input_ids(rows)),
        steps=trainer.state.global_step,
        training_seconds=watch.seconds,
        padding_fraction=collator.stats.padding_fraction if counted else None,
        peak_memory_bytes=watch.peak_memory_bytes,
        training_loss=_mean_loss(history, float(outcome.training_loss)),
        loss_history=history,
    )


def _mean_loss(history: list[list[float]], of_this_call: float) -> float:
    """Mean over all steps that were logged: the ``Trainer``'s own counts none before a resumption."""
    if not history:
        return of_this_call
    steps, losses = np.asarray(history, dtype=np.float64).T
    return float(np.average(losses, weights=np.diff(steps, prepend=0.0)))


def make_collator(tokenizer: PreTrainedTokenizerBase, arguments: Arguments) -> DynamicPackCollator | PaddingCollator:
    """The collator that ``--padding`` names.

    Args:
        tokenizer: gives the padding token.
        arguments: the arguments of the run.

    Returns:
        The collator.
    """
    from hf_select.training.collator import DynamicPackCollator
    from hf_select.training.padding import PaddingCollator

    run, max_length = arguments.run, arguments.data.max_length
    if run.padding == "dynamic_pack":
        return DynamicPackCollator(tokenizer, max_length, run.packing_layout, run.packing_algorithm)
    return PaddingCollator(tokenizer, max_length, padding=run.padding)


def attention_of(model: PreTrainedModel, arguments: Arguments) -> contextlib.AbstractContextManager[object]:
    """The attention that the batches need: packed for packed batches, unless the user named another.

    Args:
        model: the model.
        arguments: the arguments of the run.

    Returns:
        A context in which the model can be run on the collator's batches.

    Raises:
        PackingError: if packed samples would attend to one another.
    """
    from hf_select.training.attention import packed_attention
    from hf_select.training.packing_check import check_packing

    if arguments.run.padding != "dynamic_pack":
        return contextlib.nullcontext()
    if arguments.model.attn_implementation == PACKED:
        return packed_attention(model)
    check_packing(model)
    return contextlib.nullcontext()


def _trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Any],
    arguments: Arguments,
    changes: dict[str, Any],
) -> tuple[Trainer, Any, Any]:
    from transformers import Trainer

    from hf_select.callbacks import EfficiencyCallback, FiniteLossCallback, LastStepCallback

    settings = copy.copy(arguments.training)
    changes |= {"remove_unused_columns": False, "logging_nan_inf_filter": False}
    changes |= {"push_to_hub": False, "hub_token": None}  # the recipe pushes at the end, and no token is saved with it
    for name, value in changes.items():
        setattr(settings, name, value)
    collator = make_collator(tokenizer, arguments)
    watch = EfficiencyCallback(collator.stats)
    callbacks = [watch, FiniteLossCallback(), LastStepCallback()]
    trainer = Trainer(
        model=model,
        args=settings,
        train_dataset=rows,
        data_collator=collator,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    return trainer, collator, watch


def _input_ids(rows: Sequence[Any]) -> Sequence[Sequence[int]]:
    return [row["input_ids"] for row in rows]
