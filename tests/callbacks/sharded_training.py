"""Launched by test_selection_sharded.py, as it is and under FSDP2: trainings with and without callbacks, and one that
resumes. Its arguments are a path ``RESULTS.json``, of which each process writes a ``RESULTS.RANK.json``, and cases."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.distributed.fsdp import FSDPModule
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_select.callbacks import PassAtKCallback, SelectionCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.evaluation.problem import Problem
from hf_select.methods import make
from hf_select.signals.identity import weights_hash
from hf_select.training import DynamicPackCollator, packed_attention
from tests.launching import leave

STEPS, CUT = 8, 5
PROBLEM = Problem("0", "def inc(x):\n", "inc", "    return x + 1\n", ("assert inc(1) == 2",))


class Stop(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop |= state.global_step == CUT


def rows(seed: int, n_rows: int) -> Dataset:
    rng = np.random.default_rng(seed)
    ids = [rng.integers(2, 200, n).tolist() for n in rng.integers(4, 12, n_rows)]
    return Dataset.from_list([{"input_ids": row, "labels": [-100, -100, *row[2:]]} for row in ids])


def train(folder: Path, callbacks: list[TrainerCallback], *, resume: bool = False, **options: bool) -> Trainer:
    tokenizer = train_tokenizer(["return a + b"] * 4, 260)
    model = build_model(tokenizer, hidden=16, layers=2, heads=2)
    if options.get("lora"):
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    sharded = "ACCELERATE_USE_FSDP" in os.environ
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=4, max_steps=STEPS, learning_rate=1e-2, report_to="none",
        disable_tqdm=True, logging_steps=1, save_steps=1, remove_unused_columns=False, dataloader_pin_memory=False,
        gradient_checkpointing=options.get("recompute", False), ddp_find_unused_parameters=False, use_cpu=not sharded,
    )  # fmt: skip
    with packed_attention(model):
        trainer = Trainer(
            model, args, train_dataset=rows(0, 80), data_collator=DynamicPackCollator(tokenizer, 24),
            processing_class=tokenizer, callbacks=callbacks,
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=str(folder / f"checkpoint-{CUT}") if resume else None)
    return trainer


def told(trainer: Trainer) -> dict[str, Any]:
    model = trainer.model
    sharded = any(isinstance(module, FSDPModule) for module in model.modules())
    whole = [part.detach().full_tensor() if sharded else part.detach() for part in model.parameters()]  # as trained
    found: dict[str, Any] = {"sharded": sharded, "weights": weights_hash(torch.nn.ParameterList(whole))}
    found["precision"] = trainer.accelerator.mixed_precision
    selections = [one for one in trainer.callback_handler.callbacks if isinstance(one, SelectionCallback)]
    evaluations = [one for one in trainer.callback_handler.callbacks if isinstance(one, PassAtKCallback)]
    found["losses"] = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    found["ledger"] = [
        {name: entry[name] for name in ("step", "n_rows", "replaced_fraction", "score_quantiles")}
        for one in selections
        for entry in one.ledger
    ]
    found["pass_at_1"] = [entry["pass@1"] for one in evaluations for entry in one.results]
    return found


def main(path: Path, *names: str) -> None:
    by_influence = {"reference": rows(1, 6), "every": 3}
    cases = {
        "plain": (lambda: [], {}),
        "kept": (lambda: [SelectionCallback("loss", "100%", every=2)], {}),
        "loss": (lambda: [SelectionCallback("loss", "40%", every=2)], {}),
        "evaluated": (lambda: [PassAtKCallback([PROBLEM] * 3, every=4, allow_code_eval=True, max_new_tokens=4)], {}),
        "discore": (lambda: [SelectionCallback("discore", "40%", **by_influence)], {}),
        "oracle": (lambda: [SelectionCallback(make("discore", engine="oracle"), "40%", **by_influence)], {}),
        "lora": (lambda: [SelectionCallback("discore", "40%", **by_influence)], {"lora": True}),
        "recomputed": (lambda: [SelectionCallback("discore", "40%", **by_influence)], {"recompute": True}),
        "cut": (lambda: [SelectionCallback("discore", "40%", **by_influence), Stop()], {}),
        "resumed": (lambda: [SelectionCallback("discore", "40%", **by_influence)], {"resume": True}),
    }
    found = {}
    for name in names:
        callbacks, options = cases[name]
        folder = path.parent / ("cut" if name == "resumed" else name)
        trainer = train(folder, callbacks(), **options)
        found[name] = told(trainer)
    accelerator = trainer.accelerator
    del trainer
    leave(accelerator, path, found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
