"""Re-selection in a stock ``Trainer``: exact where it must change nothing, and resumed to the very rows and weights."""

import json
import logging
import random
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, IterableDataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_select.callbacks import SelectionCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.errors import BudgetError, ConfigError, CorruptStateError, RowError, StaleStateError
from hf_select.training import DynamicPackCollator, PaddingCollator, last_whole_checkpoint, packed_attention

N_ROWS = 24


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["return a + b"] * 4, 260)


@pytest.fixture(scope="module")
def rows():
    return make_rows()


def make_rows():
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 12, N_ROWS)
    ids = [rng.integers(2, 200, n).tolist() for n in lengths]
    return Dataset.from_list([{"input_ids": row, "labels": [-100, -100, *row[2:]]} for row in ids])


class Seen(TrainerCallback):
    """The loss of every step, and the random states at every step."""

    def __init__(self):
        self.states = []

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        self.states.append((random.getstate()[1][:3], torch.get_rng_state()[:16].tolist(), model.training))


def train(
    tokenizer, rows, folder, callback=None, *, collator="packed", resume=None, stop_at=None, workers=0, **settings
):
    model = build_model(tokenizer, hidden=16, layers=1, heads=2)
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=2, max_steps=20, learning_rate=1e-2, report_to="none",
        use_cpu=True, dataloader_pin_memory=False, remove_unused_columns=False, disable_tqdm=True, logging_steps=1,
        save_steps=1, dataloader_num_workers=workers, **settings,
    )  # fmt: skip
    seen = Seen()
    callbacks = [seen, *([callback] if callback else []), *([Stop(stop_at)] if stop_at else [])]
    made = DynamicPackCollator(tokenizer, 24) if collator == "packed" else PaddingCollator(tokenizer, 24)
    with packed_attention(model) if collator == "packed" else nullcontext():
        trainer = Trainer(
            model, args, train_dataset=rows, data_collator=made, processing_class=tokenizer, callbacks=callbacks
        )
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return SimpleNamespace(weights=weights, losses=losses, seen=seen.states, history=trainer.state.log_history)


class Stop(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            control.should_training_stop = True


def same(one, other):
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


@pytest.mark.parametrize("collator", ["packed", "padded"])
@pytest.mark.parametrize("settings", [{}, {"gradient_accumulation_steps": 2}])
def test_keeping_everything_changes_nothing_bit_by_bit(tokenizer, rows, tmp_path, collator, settings):
    plain = train(tokenizer, rows, tmp_path / "plain", collator=collator, **settings)
    callback = SelectionCallback("loss", "100%", every=3, first=0)
    kept = train(tokenizer, rows, tmp_path / "kept", callback, collator=collator, **settings)
    assert same(plain, kept)
    assert plain.losses == kept.losses
    assert plain.seen == kept.seen
    assert [entry["step"] for entry in callback.ledger] == [0, 3, 6, 9, 12, 15, 18]
    assert {entry["replaced_fraction"] for entry in callback.ledger} == {0.0}


def test_only_selected_rows_are_trained_on(tokenizer, rows, tmp_path):
    drawn = []

    class Watch(PaddingCollator):
        def __call__(self, features):
            drawn.append([tuple(feature["input_ids"]) for feature in features])
            return super().__call__(features)

    callback = SelectionCallback("loss", 5, every=6, first=0)
    model = build_model(tokenizer, hidden=16, layers=1, heads=2)
    args = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=2, max_steps=18, report_to="none", use_cpu=True,
        dataloader_pin_memory=False, remove_unused_columns=False, disable_tqdm=True, save_strategy="no",
        learning_rate=0.05,
    )  # fmt: skip
    trainer = Trainer(
        model, args, train_dataset=rows, data_collator=Watch(tokenizer, 24), processing_class=tokenizer,
        callbacks=[callback],
    )  # fmt: skip
    trainer.train()
    assert len(callback.ledger) == 3
    assert any(entry["replaced_fraction"] > 0 for entry in callback.ledger[1:])
    assert len({row for batch in drawn[:6] for row in batch}) == 5
    assert len({row for batch in drawn for row in batch}) < N_ROWS
    ledger = json.loads((tmp_path / "selection_ledger.json").read_text())
    assert ledger["method"] == "loss"
    assert len(ledger["selections"]) == 3
    assert all(entry["n_rows"] == 5 and len(entry["score_quantiles"]) == 5 for entry in ledger["selections"])
    logged = [entry for entry in trainer.state.log_history if "selection_overlap" in entry]
    assert [entry["step"] for entry in logged] == [0, 6, 12]


@pytest.mark.parametrize("cut", [5, 6, 8, 14])
@pytest.mark.parametrize("settings", [{}, {"gradient_accumulation_steps": 2}, {"workers": 2}])
def test_a_resumed_run_ends_with_the_weights_of_the_uninterrupted_one(tokenizer, rows, tmp_path, cut, settings):
    if settings and cut != 8:
        pytest.skip("one cut is enough for the variants")
    whole = train(tokenizer, rows, tmp_path / "whole", SelectionCallback("loss", "40%", every=3), **settings)
    train(tokenizer, rows, tmp_path / "cut", SelectionCallback("loss", "40%", every=3), stop_at=cut, **settings)
    callback = SelectionCallback("loss", "40%", every=3)
    checkpoint = tmp_path / "cut" / f"checkpoint-{cut}"
    resumed = train(tokenizer, rows, tmp_path / "cut", callback, resume=checkpoint, **settings)
    assert resumed.losses == whole.losses
    assert same(whole, resumed)
    assert [entry["step"] for entry in callback.ledger] == [3, 6, 9, 12, 15, 18]
    plain = train(tokenizer, rows, tmp_path / "plain", **settings)
    assert plain.losses != whole.losses


def test_a_share_of_the_rows_is_scored(tokenizer, rows, tmp_path):
    callback = SelectionCallback("loss", "50%", every=5, pool_fraction=0.5)
    train(tokenizer, rows, tmp_path, callback)
    assert [entry["n_rows"] for entry in callback.ledger] == [6, 6, 6]


def test_rows_as_text_serve_methods_that_read_text(tokenizer, rows, tmp_path):
    texts = Dataset.from_dict({"prompt": ["p"] * N_ROWS, "completion": ["x" * n for n in range(1, N_ROWS + 1)]})
    callback = SelectionCallback("core_set", 4, every=10, dataset=texts, embedder="tfidf", embed="response")
    train(tokenizer, rows, tmp_path, callback)
    assert [entry["n_rows"] for entry in callback.ledger] == [4]
    with pytest.raises(RowError, match="row i of one must be row i"):
        train(tokenizer, rows, tmp_path, SelectionCallback("random", 4, every=10, dataset=texts.select(range(3))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "^every=0"),
        ({"every": 2.5}, "^every=2.5"),
        ({"every": 2, "first": -1}, "^first=-1"),
        ({"every": 2, "pool_fraction": 0}, "^pool_fraction=0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SelectionCallback("loss", "40%", **settings)


def test_what_cannot_work_is_refused_before_the_first_step(tokenizer, rows, tmp_path):
    with pytest.raises(BudgetError, match="cannot be cut"):
        train(tokenizer, rows, tmp_path, SelectionCallback("k_means", "2k tokens", every=2))
    two = SelectionCallback("loss", 5, every=2)
    model = build_model(tokenizer, hidden=16, layers=1, heads=2)
    args = TrainingArguments(output_dir=str(tmp_path), max_steps=2, use_cpu=True, dataloader_pin_memory=False,
                             disable_tqdm=True, report_to="none", remove_unused_columns=False)  # fmt: skip
    given = {"data_collator": PaddingCollator(tokenizer, 24), "processing_class": tokenizer}
    with pytest.raises(ConfigError, match="Two SelectionCallbacks"):
        Trainer(
            model, args, train_dataset=rows, callbacks=[two, SelectionCallback("random", 5, every=2)], **given
        ).train()
    streamed = IterableDataset.from_generator(lambda: iter(rows))
    with pytest.raises(ConfigError, match="streamed"):
        Trainer(model, args, train_dataset=streamed, callbacks=[two], **given).train()
    args.restore_callback_states_from_checkpoint = True
    with pytest.raises(ConfigError, match="Leave it at False"):
        SelectionCallback.from_state({})


def test_a_checkpoint_of_another_selection_is_not_continued(tokenizer, rows, tmp_path):
    train(tokenizer, rows, tmp_path, SelectionCallback("loss", "40%", every=3), stop_at=4)
    with pytest.raises(StaleStateError, match="every=3 and this callback has 5"):
        train(tokenizer, rows, tmp_path, SelectionCallback("loss", "40%", every=5), resume=tmp_path / "checkpoint-4")


class Other(SelectionCallback):
    """Another class of the same kind."""


def test_a_checkpoint_without_a_selection_is_continued_and_saved_with_one(tokenizer, rows, tmp_path, caplog):
    train(tokenizer, rows, tmp_path, stop_at=4)
    callback = SelectionCallback("loss", "40%", every=5)
    with caplog.at_level(logging.WARNING, "hf_select"):
        train(tokenizer, rows, tmp_path, callback, resume=tmp_path / "checkpoint-4", stop_at=6)
    assert "holds no selection" in caplog.text
    assert [entry["step"] for entry in callback.ledger] == [5]
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-6"
    train(tokenizer, rows, tmp_path, resume=tmp_path / "checkpoint-6", stop_at=7)  # and on without it
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-7"
    again = SelectionCallback("loss", "40%", every=5)
    with pytest.raises(CorruptStateError, match="at step 6 and stands as that of a SelectionCallback at step 7"):
        train(tokenizer, rows, tmp_path, again, resume=tmp_path / "checkpoint-7")
    with pytest.raises(StaleStateError, match="of a SelectionCallback, not of a Other"):
        train(tokenizer, rows, tmp_path, Other("loss", "40%", every=5), resume=tmp_path / "checkpoint-6")
