"""A selection keeps what it is, applies to the dataset it was made from, and to no other."""

import json

import numpy as np
import pytest
from datasets import Dataset

from hf_select import selection as selection_module
from hf_select.errors import CorruptStateError, RowError, StaleStateError
from hf_select.selection import SCORES_FILE, SELECTION_FILE, Selection


def make_selection():
    return Selection(np.array([4, 0, 2]), np.array([0.9, 0.5, 0.5]), 5, {"method": {"name": "loss"}, "seed": 3})


def test_it_comes_back_as_it_was_saved(tmp_path):
    selection = make_selection()
    loaded = Selection.load(selection.save(tmp_path / "kept"))
    np.testing.assert_array_equal(loaded.indices, selection.indices)
    np.testing.assert_array_equal(loaded.scores, selection.scores)
    assert (loaded.n_rows, dict(loaded.provenance)) == (5, {"method": {"name": "loss"}, "seed": 3})
    assert not [path for path in (tmp_path / "kept").iterdir() if path.name.startswith(".")]


def test_it_applies_in_its_own_order_or_in_the_dataset_s():
    dataset = Dataset.from_dict({"x": list("abcde")})
    assert make_selection().apply(dataset)["x"][:] == ["e", "a", "c"]
    assert make_selection().apply(dataset, keep_order=True)["x"][:] == ["a", "c", "e"]
    assert make_selection().mask().tolist() == [True, False, True, False, True]


def test_a_dataset_of_another_length_is_refused():
    with pytest.raises(StaleStateError, match="made from 5 rows and the dataset has 2"):
        make_selection().apply(Dataset.from_dict({"x": [1, 2]}))


@pytest.mark.parametrize(
    ("indices", "message"), [([0, 0], "came twice"), ([5], r"Row ids \[5\]"), ([-1], r"Row ids \[-1\]")]
)
def test_row_ids_are_distinct_and_in_range(indices, message):
    with pytest.raises(RowError, match=message):
        Selection(np.array(indices), np.zeros(len(indices)), 5)


def test_one_score_per_pick():
    with pytest.raises(RowError, match="2 picks and 1 scores"):
        Selection(np.array([0, 1]), np.zeros(1), 5)


def test_half_a_selection_is_none(tmp_path):
    folder = make_selection().save(tmp_path)
    (folder / SELECTION_FILE).unlink()
    with pytest.raises(StaleStateError, match="holds no finished selection"):
        Selection.load(folder)


def test_scores_of_another_selection_are_noticed(tmp_path):
    """Also of one with as many picks."""
    folder = make_selection().save(tmp_path / "a")
    other = Selection(np.array([1, 2, 3]), np.zeros(3), 5).save(tmp_path / "b")
    (other / SCORES_FILE).replace(folder / SCORES_FILE)
    with pytest.raises(CorruptStateError, match=r"scores.parquet is absent, damaged or of another selection"):
        Selection.load(folder)


def test_a_record_that_was_edited_is_noticed(tmp_path):
    folder = make_selection().save(tmp_path)
    text = (folder / SELECTION_FILE).read_text()
    (folder / SELECTION_FILE).write_text(text.replace('"seed": 3', '"seed": 4'))
    with pytest.raises(CorruptStateError, match="does not match its sha256"):
        Selection.load(folder)
    (folder / SELECTION_FILE).write_text('{"format": 1, "n_rows": 5, "n_picked": 3}')
    with pytest.raises(StaleStateError, match="another format than 2"):
        Selection.load(folder)


def damaged(whole):
    """A file cut at five lengths, and with one byte flipped at places all over it."""
    yield from (whole[:cut] for cut in (0, 1, 8, len(whole) // 2, -1))
    for place in range(0, len(whole), max(1, len(whole) // 97)):
        yield whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :]


@pytest.mark.parametrize("name", [SELECTION_FILE, SCORES_FILE])
def test_no_damage_gives_another_selection(name, tmp_path):
    """F10: every cut and every flipped byte is refused by name, but where it left the meaning (a blank of JSON)."""
    folder = make_selection().save(tmp_path)
    whole = (folder / name).read_bytes()
    refused, equal = [], []
    for content in damaged(whole):
        (folder / name).write_bytes(content)
        try:
            equal.append(Selection.load(folder))
        except (CorruptStateError, StaleStateError) as error:
            refused.append(str(error))
    assert len(refused) + len(equal) >= 100
    assert all(name in message for message in refused)
    assert len(equal) <= (2 if name == SELECTION_FILE else 0)  # the newline at the end cut off or altered
    for found in equal:
        assert (found.indices.tolist(), found.scores.tolist()) == ([4, 0, 2], [0.9, 0.5, 0.5])
        assert dict(found.provenance) == {"method": {"name": "loss"}, "seed": 3}


class Killed(BaseException):
    pass


def test_a_kill_at_any_crash_point_leaves_the_old_selection_or_the_new_one(tmp_path, monkeypatch):
    other = Selection(np.array([1, 3, 0]), np.array([0.3, 0.2, 0.1]), 5, {"seed": 9})
    outcomes = {}
    for point in ("selection.half_saved", "selection.recorded", "selection.saved"):
        folder = make_selection().save(tmp_path / point)

        def kill(name, at=point):
            if name == at:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(selection_module, "crash_point", kill)
            with pytest.raises(Killed):
                other.save(folder)
        outcomes[point] = Selection.load(folder).provenance["seed"]
        make_selection().save(folder)
        assert Selection.load(folder).provenance["seed"] == 3
        assert sorted(path.name for path in folder.iterdir()) == [SCORES_FILE, SELECTION_FILE]
    assert outcomes == {"selection.half_saved": 3, "selection.recorded": 9, "selection.saved": 9}


def test_provenance_is_plain_json(tmp_path):
    content = json.loads((make_selection().save(tmp_path) / SELECTION_FILE).read_text())
    assert content["n_picked"] == 3
    assert content["method"] == {"name": "loss"}
