"""DIScore in a stock ``Trainer``: it takes the step of the very optimiser that trains, and leaves no trace."""

import json

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback

from hf_select.callbacks import SelectionCallback
from hf_select.errors import ConfigError
from hf_select.methods import make
from tests.callbacks import test_selection as case

N_ROWS, same, train = case.N_ROWS, case.same, case.train
tokenizer, rows = case.tokenizer, case.rows  # fixtures


@pytest.fixture(scope="module")
def reference(rows):
    """Two tasks: rows as token ids, and rows as text."""
    texts = Dataset.from_dict({"prompt": ["return", "a +"], "completion": [" a + b", " b"]})
    return {"tokens": rows.select([3, 8, 11]), "text": texts}


class Traces(TrainerCallback):
    """Optimiser state, gradients, weights and random states at the end of a step; stands before or behind another."""

    def __init__(self):
        self.seen = []

    def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
        inner = optimizer.optimizer
        self.seen.append(
            {
                "state": {
                    (place, key): value.clone()
                    for place, known in inner.state_dict()["state"].items()
                    for key, value in known.items()
                    if isinstance(value, torch.Tensor)
                },
                "weights": [parameter.detach().clone() for parameter in model.parameters()],
                "flags": [parameter.requires_grad for parameter in model.parameters()],
                "gradients": [parameter.grad is None for parameter in model.parameters()],
                "rng": torch.get_rng_state(),
                "training": [module.training for module in model.modules()],
                "rates": [group["lr"] for group in inner.param_groups],
            }
        )


def equal(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("collator", ["packed", "padded"])
@pytest.mark.parametrize("engine", ["exact", "oracle"])
def test_keeping_everything_changes_nothing_bit_by_bit(tokenizer, rows, reference, tmp_path, collator, engine):
    plain = train(tokenizer, rows, tmp_path / "plain", collator=collator)
    callback = SelectionCallback(make("discore", engine=engine), "100%", every=9, first=9, reference=reference)
    kept = train(tokenizer, rows, tmp_path / "kept", callback, collator=collator)
    assert same(plain, kept)
    assert plain.losses == kept.losses
    assert plain.seen == kept.seen
    assert [entry["step"] for entry in callback.ledger] == [9, 18]
    assert len(set(callback.ledger[0]["score_quantiles"])) > 1


def test_nothing_that_trains_is_touched(tokenizer, rows, reference, tmp_path):
    class Watched(SelectionCallback):
        before, after = Traces(), Traces()

        def _reselect(self, args, state):
            self.before.on_step_end(args, state, None, self.trained, self.optimizer)
            super()._reselect(args, state)
            self.after.on_step_end(args, state, None, self.trained, self.optimizer)

        def on_step_end(self, args, state, control, **kwargs):
            self.trained, self.optimizer = kwargs["model"], kwargs["optimizer"]
            super().on_step_end(args, state, control, **kwargs)

    callback = Watched("discore", "40%", every=5, reference=reference)
    train(tokenizer, rows, tmp_path, callback)
    assert len(callback.before.seen) == len(callback.after.seen) == 3
    for before, after in zip(callback.before.seen, callback.after.seen, strict=True):
        assert len(before["state"]) > 10
        assert equal(before, after)


@pytest.mark.parametrize("cut", [4, 6])
def test_a_resumed_run_ends_with_the_weights_of_the_uninterrupted_one(tokenizer, rows, reference, tmp_path, cut):
    def callback():
        return SelectionCallback("discore", "40%", every=5, reference=reference)

    whole = train(tokenizer, rows, tmp_path / "whole", callback())
    train(tokenizer, rows, tmp_path / "cut", callback(), stop_at=cut)
    again = callback()
    resumed = train(tokenizer, rows, tmp_path / "cut", again, resume=tmp_path / "cut" / f"checkpoint-{cut}")
    assert same(whole, resumed)
    assert resumed.losses == whole.losses
    assert [entry["step"] for entry in again.ledger] == [5, 10, 15]
    assert any(entry["replaced_fraction"] > 0 for entry in again.ledger)


def test_the_learning_rate_is_the_schedules_own(tokenizer, rows, reference, tmp_path):
    """After the first of 20 steps it has fallen by a twentieth."""

    def quantiles(method="discore", **settings):
        callback = SelectionCallback(method, "100%", every=40, first=1, reference=reference)
        train(tokenizer, rows, tmp_path / "out", callback, stop_at=1, optim="sgd", **settings)
        return np.asarray(callback.ledger[0]["score_quantiles"])

    at_schedule = quantiles()
    given = quantiles(make("discore", learning_rate=0.01 * 19 / 20))
    other = quantiles(make("discore", learning_rate=0.01))
    np.testing.assert_array_equal(at_schedule, given)
    assert (at_schedule != other).all()


def test_before_the_schedule_begins_a_learning_rate_is_asked_for(tokenizer, rows, reference, tmp_path):
    callback = SelectionCallback("discore", "40%", every=50, first=0, reference=reference)
    with pytest.raises(ConfigError, match=r"learning rate is 0.*learning_rate="):
        train(tokenizer, rows, tmp_path, callback, warmup_steps=5)
    method = make("discore", learning_rate=1e-3)
    callback = SelectionCallback(method, "40%", every=50, first=0, reference=reference)
    train(tokenizer, rows, tmp_path, callback, warmup_steps=5)
    ledger = json.loads((tmp_path / "selection_ledger.json").read_text())
    assert [entry["step"] for entry in ledger["selections"]] == [0]
    assert ledger["selections"][0]["n_rows"] == int(0.4 * N_ROWS)


def test_an_optimiser_whose_step_is_not_known_is_refused_by_name(tokenizer, rows, reference, tmp_path):
    callback = SelectionCallback("discore", "40%", every=2, reference=reference)
    with pytest.raises(ConfigError, match=r"step of RMSprop is not known.*engine='plain'"):
        train(tokenizer, rows, tmp_path, callback, optim="rmsprop")
    callback = SelectionCallback(make("discore", engine="plain"), "40%", every=9, reference=reference)
    train(tokenizer, rows, tmp_path, callback, optim="rmsprop")
    assert [entry["step"] for entry in callback.ledger] == [9, 18]
