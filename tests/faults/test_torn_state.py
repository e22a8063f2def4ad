"""Files that were cut or altered: found out, computed again by the shard, never a wrong selection (F10)."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from hf_select.signals.store import Store

CUTS = {
    "0 bytes": lambda n: 0,
    "1 byte": lambda n: 1,
    "8 bytes": lambda n: 8,
    "half": lambda n: n // 2,
    "-1": lambda n: n - 1,
}
N_FLIPS = 7


def damages(whole: bytes):
    """A file cut at five lengths, and with one byte flipped at seven places."""
    for name, length in CUTS.items():
        yield f"cut at {name}", whole[: length(len(whole))]
    for n in range(N_FLIPS):
        place = n * (len(whole) - 1) // (N_FLIPS - 1)
        yield f"byte {place} flipped", whole[:place] + bytes([whole[place] ^ 0x04]) + whole[place + 1 :]


def test_every_damage_to_every_shard_is_found_out(score, tmp_path, caplog):
    score(tmp_path)
    paths = sorted(tmp_path.rglob("shard-*"))
    assert len(paths) == 16
    manifest = json.loads(paths[0].with_name("manifest.json").read_text())
    store = Store(paths[0].parent, manifest["identity"])
    n_tried, unnoticed = 0, []
    with caplog.at_level(logging.ERROR, "hf_select"):
        for number, path in enumerate(paths):
            whole, arrays = path.read_bytes(), store.read(number, len(paths))
            for what, content in damages(whole):
                path.write_bytes(content)
                n_tried += 1
                if (found := store.read(number, len(paths))) is not None:
                    unnoticed.append(what)
                    assert {name: array.tobytes() for name, array in found.items()} == {
                        name: array.tobytes() for name, array in arrays.items()
                    }
            path.write_bytes(whole)
    assert n_tried == 16 * (5 + N_FLIPS)
    assert unnoticed == []


@pytest.mark.parametrize("kind", range(5 + N_FLIPS))
def test_a_damaged_shard_is_computed_again_alone(kind, score, tmp_path, caplog):
    whole, n_batches = score(tmp_path / "cache")
    paths = sorted((tmp_path / "cache").rglob("shard-*"))
    before = {path: path.read_bytes() for path in paths}
    torn, manifest = paths[kind], paths[0].with_name("manifest.json")
    what, content = list(damages(before[torn]))[kind]
    torn.write_bytes(content)
    manifest.write_bytes(list(damages(manifest.read_bytes()))[kind][1])
    with caplog.at_level(logging.WARNING, "hf_select"):
        again, n_again = score(tmp_path / "cache")
    assert again.indices.tolist() == whole.indices.tolist(), what
    assert again.scores.tobytes() == whole.scores.tobytes()
    assert 1 <= n_again <= -(-n_batches // 16)
    assert str(torn) in caplog.text
    assert "computing it again" in caplog.text
    assert {path: path.read_bytes() for path in paths} == before
    assert sorted(path.name for path in torn.parent.iterdir()) == ["manifest.json", *(path.name for path in paths)]


def test_a_shard_of_another_place_is_not_taken(score, tmp_path):
    """Whole, with its own checksum, but of other rows."""
    whole, _ = score(tmp_path)
    first, second = sorted(tmp_path.rglob("shard-*"))[:2]
    shutil.copy(second, first)
    again, n_again = score(tmp_path)
    assert n_again >= 1
    assert again.scores.tobytes() == whole.scores.tobytes()


def test_a_shard_of_another_model_is_not_taken(score, model, rows, tmp_path):
    """Of the same rows in the same place, from the store of other weights."""
    import torch

    whole, _ = score(tmp_path / "a")
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    other, _ = score(tmp_path / "b")
    assert other.scores.tobytes() != whole.scores.tobytes()
    right = sorted(Path(tmp_path / "b").rglob("shard-*"))
    for theirs, ours in zip(sorted(Path(tmp_path / "a").rglob("shard-*")), right, strict=True):
        shutil.copy(theirs, ours)
    again, _ = score(tmp_path / "b")
    np.testing.assert_array_equal(again.scores, other.scores)
