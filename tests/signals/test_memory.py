"""Batches that do not fit are read in halves, in the order of their rows."""

import logging

import numpy as np
import pytest

from hf_select.errors import ModelError
from hf_select.signals.memory import Halving
from hf_select.signals.plan import make_plan
from hf_select.signals.shards import run_shards
from hf_select.signals.store import open_store

LENGTHS = np.array([5, 9, 3, 7, 8, 1, 2])
ROWS = np.array([4, 1, 6, 0, 3])


@pytest.fixture(autouse=True)
def no_collection(monkeypatch) -> None:
    """A full garbage collection takes a third of a second here and frees nothing that a test needs."""
    monkeypatch.setattr("hf_select.signals.memory.gc.collect", lambda: 0)


def reader_with_room(n_rows, sizes):
    def read(rows):
        sizes.append(len(rows))
        if len(rows) > n_rows:
            raise MemoryError
        return {"value": rows * 10.0, "vector": np.stack([rows, -rows], 1)}

    return read


@pytest.mark.parametrize("n_rows", [1, 2, 4, 5])
def test_halves_come_back_in_order(n_rows, caplog) -> None:
    sizes = []
    halving = Halving(reader_with_room(n_rows, sizes), LENGTHS)
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = [halving.read(ROWS) for _ in range(2)]
    for values in found:
        np.testing.assert_array_equal(values["value"], ROWS * 10.0)
        np.testing.assert_array_equal(values["vector"], np.stack([ROWS, -ROWS], 1))
    assert (max(sizes), min(sizes) <= n_rows) == (5, True)
    assert caplog.text.count("read in halves") == (n_rows < 5)  # told once


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_too_little_memory_splits_planned_batches_and_plans_nothing_anew(n_rows, tmp_path) -> None:
    """The shards hold the same rows in the same order, so that a run with more memory goes on behind them."""
    lengths = np.tile(LENGTHS, 6)
    plan = make_plan(lengths, 24)
    planned = [batch.tolist() for shard in plan.shards for batch in shard]
    read, stores = [], [open_store(tmp_path / name, {}) for name in ("much", "little")]

    def with_room(room):
        def read_batch(rows):
            if len(rows) > room:
                raise MemoryError
            read.append(rows.tolist())
            return {"value": np.sqrt(rows)}

        return Halving(read_batch, lengths).read

    found = [
        run_shards("test", plan, with_room(room), len(lengths), store=store, progress=False)["value"]
        for room, store in zip((100, n_rows), stores, strict=True)
    ]
    assert read[: len(planned)] == planned
    pieces = read[len(planned) :]
    assert max(map(len, pieces)) <= n_rows < max(map(len, planned))
    assert sum(pieces, []) == sum(planned, [])  # noqa: RUF017
    assert all(any(set(piece) <= set(batch) for batch in planned) for piece in pieces)
    assert found[0].tobytes() == found[1].tobytes()
    names = [sorted(path.name for path in store.folder.iterdir()) for store in stores]
    assert names[0] == names[1]
    assert all((stores[0].folder / name).read_bytes() == (stores[1].folder / name).read_bytes() for name in names[0])


def test_a_row_that_never_fits_is_named() -> None:
    with pytest.raises(ModelError, match="Row 4 with 8 tokens does not fit into memory even alone"):
        Halving(reader_with_room(0, []), LENGTHS).read(ROWS)


def test_other_errors_pass_through() -> None:
    def broken(rows):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        Halving(broken, LENGTHS).read(ROWS)
