"""SIGTERM within a re-selection: with ``enable_jit_checkpoint`` that step is saved, and the next run goes on there."""

import json
import os
import signal

import pytest

from hf_select.callbacks import SelectionCallback
from hf_select.signals import shards
from hf_select.termination import Terminated
from hf_select.training import last_whole_checkpoint
from tests.callbacks.test_selection import rows, same, tokenizer, train

__all__ = ["rows", "tokenizer"]


@pytest.fixture
def stop(monkeypatch):
    """Sends SIGTERM to this process while a callback makes its selection of a number, from 0; puts the handler back."""
    before, timed = signal.getsignal(signal.SIGTERM), shards._Meter.timed

    def at(callback, number):
        def stopped(meter, read_batch, rows, bar):
            if len(callback.ledger) == number:
                os.kill(os.getpid(), signal.SIGTERM)
            return timed(meter, read_batch, rows, bar)

        monkeypatch.setattr(shards._Meter, "timed", stopped)

    yield at
    signal.signal(signal.SIGTERM, before)


def selecting(**more):
    return SelectionCallback("loss", "40%", every=3, seed=5, **more)


def untimed(callback):
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in callback.ledger]


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ({}, {}),
        pytest.param({"pool_fraction": 0.7}, {"workers": 1}, marks=pytest.mark.slow),
        pytest.param({}, {"gradient_accumulation_steps": 2}, marks=pytest.mark.slow),
    ],
    ids=["plain", "pool", "accumulated"],
)
def test_the_step_is_saved_and_the_selection_made_up_for(tokenizer, rows, tmp_path, stop, monkeypatch, more, settings):
    undisturbed = selecting(**more)
    whole = train(tokenizer, rows, tmp_path / "whole", undisturbed, stop_at=11, **settings)
    stopped, resumed = selecting(**more), selecting(**more)
    stop(stopped, 1)  # the second selection, behind step 6
    with pytest.raises(Terminated, match="Stopped by SIGTERM in the forward pass") as ended:
        train(tokenizer, rows, tmp_path / "cut", stopped, enable_jit_checkpoint=True, **settings)
    assert ended.value.code == 143
    monkeypatch.undo()
    checkpoint = tmp_path / "cut" / "checkpoint-6"
    assert last_whole_checkpoint(tmp_path / "cut") == checkpoint
    kept = json.loads((checkpoint / "trainer_state.json").read_text())["stateful_callbacks"]["SelectionCallback"]
    assert kept["attributes"]["put_off"]["position"] > 0
    assert len(kept["attributes"]["ledger"]) == 1
    again = train(tokenizer, rows, tmp_path / "cut", resumed, resume=checkpoint, stop_at=11, **settings)
    assert untimed(resumed) == untimed(undisturbed)
    assert [entry["step"] for entry in resumed.ledger] == [3, 6, 9]
    assert same(whole, again)
    assert whole.losses == again.losses
    later = json.loads((tmp_path / "cut" / "checkpoint-7" / "trainer_state.json").read_text())
    assert later["stateful_callbacks"]["SelectionCallback"]["attributes"]["put_off"] is None


def test_without_it_nothing_is_saved(tokenizer, rows, tmp_path, stop):
    callback = selecting()
    stop(callback, 1)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with pytest.raises(Terminated):
        train(tokenizer, rows, tmp_path, callback)
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-5"
