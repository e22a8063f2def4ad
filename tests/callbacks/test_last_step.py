"""A training resumed from its last step, in the middle of an epoch, ends where it was: nothing of it moves."""

import shutil

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_select.callbacks import LastStepCallback, SelectionCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.training import PaddingCollator, last_whole_checkpoint

N_STEPS = 5  # of 8 an epoch of 16 rows holds


class Watch(TrainerCallback):
    """Counts steps; keeps what stands at the end of the training."""

    def __init__(self):
        self.n_steps = 0

    def on_step_begin(self, args, state, control, **kwargs):
        self.n_steps += 1

    def on_train_end(self, args, state, control, **kwargs):
        self.optimizer, self.schedule = kwargs["optimizer"].state_dict(), kwargs["lr_scheduler"].state_dict()
        self.random, self.step, self.epoch = torch.get_rng_state(), state.global_step, state.epoch
        self.history = [entry for entry in state.log_history if "train_loss" not in entry]


def rows_of(n_rows):
    drawn = np.random.default_rng(0)
    return Dataset.from_list(
        [{"input_ids": ids, "labels": ids} for ids in (drawn.integers(2, 200, 6).tolist() for _ in range(n_rows))]
    )


def train(folder, callbacks, *, resume=None, rows=None, **settings):
    tokenizer = train_tokenizer(["return a + b"] * 4, 260)
    model, watch = build_model(tokenizer, hidden=16, layers=1, heads=2, attention_dropout=0.1), Watch()
    n_accumulated = settings.get("gradient_accumulation_steps", 1)
    settings = {
        "max_steps": N_STEPS, "save_steps": N_STEPS, "eval_strategy": "steps", "eval_steps": N_STEPS, **settings,
    }  # fmt: skip
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=2, learning_rate=1e-2, lr_scheduler_type="constant",
        logging_steps=1, report_to="none", use_cpu=True, dataloader_pin_memory=False, remove_unused_columns=False,
        disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = Trainer(
        model, args, train_dataset=rows or rows_of(16 * n_accumulated), eval_dataset=rows_of(2),
        data_collator=PaddingCollator(tokenizer, 24), processing_class=tokenizer, callbacks=[watch, *callbacks],
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    watch.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return watch


def is_same(one, other):
    """Bit by bit, whatever it is made of."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other


def check_same(whole, resumed, *more):
    for name in ("weights", "optimizer", "schedule", "step", "epoch", *more):
        assert is_same(getattr(whole, name), getattr(resumed, name)), name


def test_the_trainer_alone_trains_a_step_more(tmp_path):
    """What the callback is for; where this fails, ``transformers`` has mended it and the callback can go."""
    whole = train(tmp_path, [])
    resumed = train(tmp_path, [], resume=last_whole_checkpoint(tmp_path))
    assert (whole.n_steps, resumed.n_steps, resumed.step) == (N_STEPS, 1, N_STEPS + 1)
    assert not is_same(whole.weights, resumed.weights)


CALLBACKS = {
    "alone": lambda: [LastStepCallback()],
    "selection": lambda: [SelectionCallback("loss", "50%", every=2, first=1)],
    "before": lambda: [LastStepCallback(), SelectionCallback("loss", "50%", every=2, first=1)],
    "behind": lambda: [SelectionCallback("loss", "50%", every=2, first=1), LastStepCallback()],
}


@pytest.mark.parametrize(
    "settings",
    [{}, {"gradient_accumulation_steps": 3}, {"dataloader_num_workers": 1}],
    ids=["plain", "accumulated", "workers"],
)
@pytest.mark.parametrize("callbacks", CALLBACKS.values(), ids=CALLBACKS)
def test_a_training_resumed_from_its_last_step_is_the_whole_one(tmp_path, callbacks, settings):
    of_whole, of_resumed = callbacks(), callbacks()
    whole = train(tmp_path, of_whole, **settings)
    checkpoint = last_whole_checkpoint(tmp_path)
    assert checkpoint == tmp_path / f"checkpoint-{N_STEPS}"
    resumed = train(tmp_path, of_resumed, resume=checkpoint, **settings)
    assert (whole.n_steps, resumed.n_steps) == (N_STEPS, 0)
    check_same(whole, resumed, "random")
    assert whole.history == resumed.history
    ledgers = [callback.ledger for ours in (of_whole, of_resumed) for callback in ours if hasattr(callback, "ledger")]
    assert all(ledger == ledgers[0] and len(ledger) == 2 for ledger in ledgers)


def test_it_evaluates_and_saves_at_the_end_of_the_epoch_as_ever(tmp_path):
    by_epoch = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    whole = train(tmp_path, [LastStepCallback()], **by_epoch)
    checkpoint = tmp_path / f"checkpoint-{N_STEPS}"
    resumed = train(tmp_path, [LastStepCallback()], resume=shutil.copytree(checkpoint, tmp_path / "copy"), **by_epoch)
    check_same(whole, resumed)
    assert [sum("eval_loss" in entry for entry in run.history) for run in (whole, resumed)] == [1, 2]
    assert last_whole_checkpoint(tmp_path) == checkpoint


def test_nor_does_it_move_where_the_rows_of_the_epoch_come_again(tmp_path):
    """``ignore_data_skip`` gives up the random state, and nothing else."""
    whole = train(tmp_path, [LastStepCallback()], ignore_data_skip=True)
    checkpoint = last_whole_checkpoint(tmp_path)
    resumed = train(tmp_path, [LastStepCallback()], resume=checkpoint, ignore_data_skip=True)
    assert resumed.n_steps == 0
    check_same(whole, resumed)


def test_a_training_that_is_not_over_goes_on(tmp_path):
    whole = train(tmp_path, [LastStepCallback()], save_steps=3)
    resumed = train(tmp_path, [LastStepCallback()], save_steps=3, resume=tmp_path / "checkpoint-3")
    assert resumed.n_steps == N_STEPS - 3
    check_same(whole, resumed, "random")
