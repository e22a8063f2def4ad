"""Launched by test_selection_two_processes.py: trainings with and without a SelectionCallback, and two that resume.

accelerate launch --multi_gpu --num_processes 2 tests/callbacks/two_processes.py RESULTS.json
"""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_select.callbacks import SelectionCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.signals import shards
from hf_select.signals.identity import weights_hash
from hf_select.signals.shards import processes
from hf_select.termination import Terminated
from hf_select.training import DynamicPackCollator, last_whole_checkpoint, packed_attention
from tests.launching import leave

STEPS, CUT = 12, 5


class Stop(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop |= state.global_step == CUT


def rows() -> Dataset:
    rng = np.random.default_rng(0)
    ids = [rng.integers(2, 200, n).tolist() for n in rng.integers(4, 12, 30)]
    return Dataset.from_list([{"input_ids": row, "labels": [-100, -100, *row[2:]]} for row in ids])


def train(
    folder: Path, budget: str | None, *, cut: bool = False, resume: str | None = None, **settings: Any
) -> tuple[dict, Any]:
    tokenizer = train_tokenizer(["return a + b"] * 4, 260)
    model = build_model(tokenizer, hidden=16, layers=1, heads=2)
    callback = None if budget is None else SelectionCallback("loss", budget, every=2)
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=2, gradient_accumulation_steps=2, max_steps=STEPS,
        learning_rate=1e-2, report_to="none", use_cpu=True, disable_tqdm=True, logging_steps=1, save_steps=1,
        remove_unused_columns=False, ddp_find_unused_parameters=False, dataloader_num_workers=1, **settings,
    )  # fmt: skip
    with packed_attention(model):
        trainer = Trainer(
            model, args, train_dataset=rows(), data_collator=DynamicPackCollator(tokenizer, 24),
            processing_class=tokenizer, callbacks=[*([callback] if callback else []), *([Stop()] if cut else [])],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=str(folder / resume) if resume else None)
    found = SimpleNamespace(
        weights=weights_hash(model),
        losses=[entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        steps=[] if callback is None else [entry["step"] for entry in callback.ledger],
        replaced=[] if callback is None else [entry["replaced_fraction"] for entry in callback.ledger],
    )
    return vars(found), trainer


def stopped_by_sigterm(folder: Path) -> str:
    """A training that rank 0 is told to end within its second selection; gives the checkpoint that it leaves."""
    timed, calls = shards._Meter.timed, []

    def stopped(meter: Any, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2 and processes().process_index == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return timed(meter, *args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shards._Meter, "timed", stopped)
        with pytest.raises(Terminated, match="SIGTERM"):
            train(folder, "40%", enable_jit_checkpoint=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    left = last_whole_checkpoint(folder)
    assert left is not None
    return left.name


def main(path: Path) -> None:
    results = {}
    results["plain"], _ = train(path.parent / "plain", None)
    results["kept"], _ = train(path.parent / "kept", "100%")
    results["whole"], _ = train(path.parent / "whole", "40%")
    train(path.parent / "cut", "40%", cut=True)
    results["resumed"], _ = train(path.parent / "cut", "40%", resume=f"checkpoint-{CUT}")
    left = stopped_by_sigterm(path.parent / "stopped")
    results["stopped"], trainer = train(path.parent / "stopped", "40%", resume=left)
    results["stopped"]["left"] = left
    accelerator = trainer.accelerator
    del trainer
    leave(accelerator, path, results)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
