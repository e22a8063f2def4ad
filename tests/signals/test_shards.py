"""Shards dealt out and brought together: every row once, in its place."""

import logging
import os
import signal

import numpy as np
import pytest
from accelerate import utils

from hf_select.errors import ConfigError
from hf_select.signals import shards as shards_module
from hf_select.signals.plan import make_plan
from hf_select.signals.shards import processes, run_shards
from hf_select.signals.store import open_store
from hf_select.termination import Terminated

NONE = np.empty(0, dtype=np.int64)
LENGTHS = np.array([3, 9, 0, 4, 1, 7, 7, 2])


def read_batch(rows):
    return {"value": rows * 10.0, "vector": np.stack([rows, -rows], 1).astype(np.float32)}


def test_values_come_back_in_row_order() -> None:
    found = run_shards("test", make_plan(LENGTHS, 8), read_batch, 8, store=None, progress=False)
    np.testing.assert_array_equal(found["value"], [0, 10, np.nan, 30, 40, 50, 60, 70])
    assert found["vector"].dtype == np.float32
    assert found["vector"][6].tolist() == [6, -6]


@pytest.mark.parametrize("n_processes", [1, 2, 3, 7])
def test_any_number_of_processes_finds_the_same(monkeypatch, n_processes) -> None:
    """Each process in turn, with what the others gather held back; 5 shards, so that processes differ in number."""
    plan = make_plan(LENGTHS, 8)
    assert len(plan.shards) == 5
    expected = run_shards("test", plan, read_batch, 8, store=None, progress=False)

    class State:
        num_processes, is_main_process = n_processes, False

        def __init__(self, index: int) -> None:
            self.process_index = index

    parts, seen = [], []
    for rank in range(n_processes):
        monkeypatch.setattr(shards_module, "processes", lambda rank=rank: State(rank))
        monkeypatch.setattr(utils, "gather_object", lambda mine: parts.extend(mine) or [(False, [{"rows": NONE}])])
        run_shards("test", plan, lambda rows: seen.append(rows) or read_batch(rows), 8, store=None, progress=False)
    assert sorted(np.concatenate(seen).tolist()) == [0, 1, 3, 4, 5, 6, 7]
    if n_processes > 1:
        monkeypatch.setattr(utils, "gather_object", lambda mine: parts)
        found = run_shards("test", plan, read_batch, 8, store=None, progress=False)
        assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)


def test_when_another_process_stops_none_goes_on(monkeypatch, tmp_path) -> None:
    """The process that was not told has finished all its shards; no manifest says that all are there."""

    class State:
        num_processes, is_main_process, process_index = 2, True, 0

    monkeypatch.setattr(shards_module, "processes", State)
    monkeypatch.setattr(utils, "gather_object", lambda mine: [*mine, (True, [])])
    store = open_store(tmp_path, {})
    with pytest.raises(Terminated, match="Stopped by SIGTERM in the test pass") as ended:
        run_shards("test", make_plan(LENGTHS, 8), read_batch, 8, store=store, progress=False)
    assert ended.value.code == 143
    assert sorted(path.name for path in store.folder.iterdir()) == [
        f"shard-{j:05d}-of-00005.safetensors" for j in (0, 2, 4)
    ]


def test_sigterm_gives_up_the_shard_and_keeps_the_finished_ones(tmp_path, caplog) -> None:
    store, n_read = open_store(tmp_path, {}), []
    plan = make_plan(np.full(40, 4), 4)
    assert [len(shard) for shard in plan.shards] == [2, 3] * 8

    def terminated(rows):
        n_read.append(len(rows))
        if len(n_read) == 4:  # in the middle of the second shard
            os.kill(os.getpid(), signal.SIGTERM)
        return read_batch(rows)

    before = signal.getsignal(signal.SIGTERM)
    with caplog.at_level(logging.WARNING, "hf_select"), pytest.raises(Terminated):
        run_shards("test", plan, terminated, 40, store=store, progress=False)
    assert len(n_read) == 4
    assert f"Finished shards are kept in {store.folder}; the same command goes on behind them." in caplog.text
    assert len(list(store.folder.glob("shard-*"))) == 1
    assert signal.getsignal(signal.SIGTERM) is before
    found = run_shards("test", plan, lambda rows: n_read.append(1) or read_batch(rows), 40, store=store, progress=False)
    assert len(n_read) == 4 + 38  # two batches of the shard that was given up were read a second time
    np.testing.assert_array_equal(found["value"], np.arange(40) * 10.0)


def test_a_row_that_comes_twice_is_no_result() -> None:
    with pytest.raises(AssertionError, match="twice"):
        shards_module._in_row_order([{"rows": np.array([1]), "v": np.ones(1)}] * 2, 3)


def test_stored_shards_of_another_plan_are_not_taken(tmp_path) -> None:
    store = open_store(tmp_path, {"the key": "left out the plan"})
    run_shards("test", make_plan(LENGTHS, 8), read_batch, 8, store=store, progress=False)
    n_read = []
    again = run_shards("test", make_plan(LENGTHS, 8), n_read.append, 8, store=store, progress=False)
    assert n_read == []
    assert again["value"][7] == 70
    other = make_plan(np.array([9, 3, 0, 4, 1, 7, 7, 2]), 8)
    found = run_shards("test", other, read_batch, 8, store=store, progress=False)
    np.testing.assert_array_equal(found["value"], again["value"])


def test_progress_is_shown_when_asked(capsys) -> None:
    run_shards("test", make_plan(LENGTHS, 8), read_batch, 8, store=None, progress=True)
    assert "test pass: 100%" in (shown := capsys.readouterr().err)
    assert "7/7" in shown
    run_shards("test", make_plan(LENGTHS, 8), read_batch, 8, store=None, progress=False)
    assert capsys.readouterr().err == ""


def test_processes_that_do_not_know_one_another_are_refused(monkeypatch) -> None:
    assert processes().num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="ACCELERATE_USE_CPU=true"):
        processes()
