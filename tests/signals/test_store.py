"""Finished shards: found again, never found for another input, and never trusted when torn."""

import errno
import json
import logging
import tempfile

import numpy as np
import pytest
from safetensors import SafetensorError

from hf_select.errors import ConfigError, DiskSpaceError, NotWritableError
from hf_select.signals import store as store_module
from hf_select.signals.store import open_store

ARRAYS = {"rows": np.array([3, 1]), "nll": np.array([0.5, np.nan]), "row": np.ones((2, 3), np.float32)}


@pytest.fixture
def store(tmp_path):
    found = open_store(tmp_path, {"pass": "forward", "model": "m"})
    assert found is not None
    return found


def test_a_shard_comes_back_bit_for_bit(store) -> None:
    assert store.read(0, 2) is None
    store.write(0, 2, ARRAYS)
    found = store.read(0, 2)
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].tobytes()) == (array.dtype, array.tobytes())
    assert store.read(1, 2) is None
    assert store.read(0, 3) is None
    store.finish(1)
    manifest = json.loads((store.folder / "manifest.json").read_text())
    assert manifest["identity"] == {"pass": "forward", "model": "m"}
    assert manifest["shards"] == ["shard-00000-of-00001.safetensors"]


def test_another_input_is_another_folder(tmp_path) -> None:
    identity = {"pass": "forward", "model": "m"}
    folders = {open_store(tmp_path, {**identity, **change}).folder for change in ({}, {"pass": "x"}, {"model": "n"})}
    assert len(folders) == 3
    assert open_store(False, identity) is None
    assert open_store(None, identity).folder.parts[-3:-1] == ("hf_select", "signals")


@pytest.mark.parametrize("cut", [0, 1, 8, "half", -1])
def test_a_torn_shard_is_not_read(store, cut, caplog) -> None:
    store.write(0, 1, ARRAYS)
    (path,) = store.folder.glob("shard-*")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 if cut == "half" else cut])
    with caplog.at_level(logging.WARNING, "hf_select"):
        assert store.read(0, 1) is None
    assert "computing it again" in caplog.text


def test_no_altered_byte_goes_unseen(store) -> None:
    """Every byte of the arrays, one at a time; of the header, only that a wrong array never comes out."""
    store.write(0, 1, ARRAYS)
    (path,) = store.folder.glob("shard-*")
    whole = path.read_bytes()
    n_refused = 0
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 0x10
        path.write_bytes(bytes(altered))
        found = store.read(0, 1)
        n_refused += found is None
        assert found is None or all(found[name].tobytes() == ARRAYS[name].tobytes() for name in ARRAYS)
    n_values = sum(array.nbytes for array in ARRAYS.values())
    assert n_refused >= n_values


def test_a_full_disk_is_named_and_leaves_nothing(store, monkeypatch) -> None:
    def full(*args, **kwargs):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(store_module, "save_file", full)
    with pytest.raises(DiskSpaceError, match=r"needs about 56 bytes and \d+ are free.*cache_dir=False stores"):
        store.write(0, 1, ARRAYS)
    assert list(store.folder.iterdir()) == []


def test_a_finished_store_need_not_be_writable(store, monkeypatch) -> None:
    store.write(0, 1, ARRAYS)
    store.finish(1)

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert set(store.read(0, 1)) == set(ARRAYS)
    store.finish(1)
    with pytest.raises(NotWritableError, match=r"Read-only file system.*Give another folder.*cache_dir=False stores"):
        store.write(0, 1, ARRAYS)


def test_a_folder_that_cannot_be_made_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    store = open_store(tmp_path / "file", {})
    with pytest.raises(ConfigError, match="Give another cache_dir"):
        store.write(0, 1, ARRAYS)
