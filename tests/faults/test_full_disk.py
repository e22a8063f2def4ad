"""A disk that fills up at any write: told with both numbers, what was there before stays, nothing is left (F17)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_select.errors import DiskSpaceError
from hf_select.selection import Selection
from hf_select.signals.plan import make_plan
from hf_select.signals.shards import run_shards
from hf_select.signals.store import open_store
from tests.full_disk import full_at

ROOT = Path(__file__).resolve().parents[2]
IN_NAMESPACE = ("unshare", "-Urm")


def read_batch(rows):
    return {"nll": rows * 1.5}


def test_every_write_of_a_selection_may_find_the_disk_full(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # 600 of them would take most of the time
    plan = make_plan(np.full(12, 4), 12)
    assert len(plan.shards) == 4
    earlier, later = (Selection(np.arange(n), np.zeros(n), 12, {"seed": n}) for n in (3, 10))
    n, told, kept = 0, [], []
    is_done = False
    while not is_done:
        n += 1
        folder = tmp_path / str(n)
        earlier.save(folder / "out")
        with monkeypatch.context() as patch:
            calls = full_at(patch, n)
            try:
                store = open_store(folder / "cache", {})
                run_shards("test", plan, read_batch, 12, store=store, progress=False)
                later.save(folder / "out")
                is_done = len(calls) < n
            except DiskSpaceError as error:
                told.append(str(error))
        assert [path.name for path in folder.rglob("*.hf_select.tmp")] == []
        kept.append(len(Selection.load(folder / "out")))
        again = run_shards("test", plan, read_batch, 12, store=store, progress=False)
        np.testing.assert_array_equal(again["nll"], np.arange(12) * 1.5)
        later.save(folder / "out")
        assert sorted(path.name for path in (folder / "out").rglob("*")) == ["scores.parquet", "selection.json"]
    assert (
        n - 1 == len(told) >= 8 * 5
    )  # four shards and a manifest, of five calls each, and the three files of a selection
    assert all("bytes and" in message and "are free" in message for message in told)
    assert sorted(kept) == kept  # the earlier selection up to one call, and the later one from there on
    assert (kept[0], kept[-1]) == (3, 10)


ON_TMPFS = """
import sys
from pathlib import Path
import numpy as np
from hf_select.errors import DiskSpaceError
from hf_select.selection import Selection
from hf_select.signals.store import open_store

folder = Path(sys.argv[1])
old = Selection(np.arange(20), np.zeros(20), 10**6, {"seed": 1})
old.save(folder / "out")
arrays = {"rows": np.arange(4096), "nll": np.random.default_rng(0).random(4096)}
store, n_shards = open_store(folder / "cache", {"pass": "forward"}), 0
try:
    for n_shards in range(100):
        store.write(n_shards, 100, arrays)
except DiskSpaceError as error:
    print(error)
assert n_shards > 5, n_shards
assert len(list(store.folder.iterdir())) == n_shards, "a shard more or a remnant"
assert all(store.read(shard, 100) is not None for shard in range(n_shards))
try:
    with (folder / "filler").open("ab", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
except OSError:
    pass
try:
    Selection(np.arange(50000), np.random.default_rng(1).random(50000), 10**6, {"seed": 2}).save(folder / "out")
except DiskSpaceError as error:
    print(error)
assert Selection.load(folder / "out").provenance["seed"] == 1
assert [path.name for path in folder.rglob(".*")] == []
print("kept")
"""


def test_a_file_system_that_is_really_full(tmp_path):
    if shutil.which("unshare") is None or subprocess.run([*IN_NAMESPACE, "true"], check=False).returncode:
        pytest.skip("this machine gives no user namespaces")
    command = f"mount -t tmpfs -o size=2m none {tmp_path} && exec {sys.executable} - {tmp_path}"
    done = subprocess.run(
        [*IN_NAMESPACE, "sh", "-c", command],
        input=ON_TMPFS, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    shard, selection, last = done.stdout.splitlines()
    assert shard.startswith(f"No space left for {tmp_path}/cache")
    assert "it needs about 65536 bytes and" in shard
    assert selection.startswith(f"No space left for {tmp_path}/out/.scores-")
    assert last == "kept"
