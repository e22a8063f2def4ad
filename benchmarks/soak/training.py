"""The training that is killed: the stock Trainer, rows selected anew as it goes, checkpoints every few steps.

Two uninterrupted trainings of the same settings end alike, bit by bit; so must one that was killed and resumed.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, logging

from hf_select.callbacks import SelectionCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.files import write_json
from hf_select.signals.identity import weights_hash
from hf_select.training import DynamicPackCollator, last_whole_checkpoint, packed_attention

ROWS_FILE, OUTCOME_FILE = "rows.jsonl", "outcome.json"
MAX_LENGTH = 32


@dataclass(frozen=True)
class Settings:
    """What is trained, and how often it is saved and selected anew."""

    method: str = "discore"
    steps: int = 60
    every: int = 7
    save_steps: int = 2
    n_rows: int = 64
    seed: int = 0


class RowRecorder(TrainerCallback):
    """Writes the rows of every batch, by the number of the batch in the training; stands before the collator."""

    def __init__(self, collator, path: Path) -> None:
        self.collator, self.path, self.batch = collator, path, 0

    def on_train_begin(self, args, state, control, **kwargs):
        self.batch = state.global_step  # one batch a step; the batches before are not collated again

    def __call__(self, features):
        line = json.dumps({"batch": self.batch, "rows": [feature["row"] for feature in features]}) + "\n"
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode())  # one write: whole or absent after a kill
        self.batch += 1
        return self.collator(features)


def make_rows(settings: Settings) -> Dataset:
    rng = np.random.default_rng(settings.seed)
    rows = [rng.integers(2, 200, n).tolist() for n in rng.integers(4, 14, settings.n_rows)]
    return Dataset.from_list(
        [{"row": i, "input_ids": ids, "labels": [-100, -100, *ids[2:]]} for i, ids in enumerate(rows)]
    )


def train(folder: Path, settings: Settings, trainer_class: type[Trainer] = Trainer) -> None:
    """Train from the newest whole checkpoint of the folder to the end, and write what came of it."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    disable_progress_bars()
    tokenizer = train_tokenizer(["return a + b"] * 4, 260)
    model = build_model(tokenizer, settings.seed, hidden=16, layers=1, heads=2)
    rows = make_rows(settings)
    reference = {"reference": rows.select(range(4))} if settings.method == "discore" else {}
    callback = SelectionCallback(settings.method, "40%", every=settings.every, first=1, seed=settings.seed, **reference)
    recorder = RowRecorder(DynamicPackCollator(tokenizer, MAX_LENGTH), folder / ROWS_FILE)
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=4, max_steps=settings.steps, learning_rate=1e-2,
        save_steps=settings.save_steps, save_total_limit=4, logging_steps=1, seed=settings.seed, use_cpu=True,
        dataloader_pin_memory=False, remove_unused_columns=False, disable_tqdm=True, report_to="none",
    )  # fmt: skip
    with packed_attention(model):
        trainer = trainer_class(
            model, args, train_dataset=rows, data_collator=recorder, processing_class=tokenizer,
            callbacks=[recorder, callback],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        checkpoint = last_whole_checkpoint(folder)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    ledger = [{name: value for name, value in entry.items() if name != "seconds"} for entry in callback.ledger]
    losses = [[entry["step"], entry["loss"]] for entry in trainer.state.log_history if "loss" in entry]
    write_json(folder / OUTCOME_FILE, {"weights": weights_hash(model), "losses": losses, "ledger": ledger})


def outcome(folder: Path) -> dict:
    """Weights, losses, ledger, and the rows of every batch: each must be the same whenever it was drawn."""
    found = json.loads((folder / OUTCOME_FILE).read_text())
    batches: dict[int, set[tuple[int, ...]]] = {}
    for line in (folder / ROWS_FILE).read_text().splitlines():
        entry = json.loads(line)
        batches.setdefault(entry["batch"], set()).add(tuple(entry["rows"]))
    return {**found, "rows": {batch: sorted(batches[batch]) for batch in sorted(batches)}}


def equal(one: dict, other: dict) -> dict[str, bool]:
    """What of two outcomes is the same, bit by bit."""
    return {name: one[name] == other[name] for name in ("weights", "losses", "ledger", "rows")}


def forked(work, folder: Path) -> int:
    """The process id of a child that does some work in this folder and ends; its output goes to ``said.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        with (folder / "said.txt").open("ab", buffering=0) as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        work()
        status = 0
    except BaseException:  # noqa: BLE001 (the end of the child; said.txt has the reason)
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)
