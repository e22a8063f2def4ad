"""A selection keeps what it is, applies to the dataset it was made from, and to no other."""

import json

import numpy as np
import pytest
from datasets import Dataset

from hf_select.errors import RowError, StaleStateError
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
    folder = make_selection().save(tmp_path / "a")
    other = Selection(np.array([1]), np.zeros(1), 5).save(tmp_path / "b")
    (other / SCORES_FILE).replace(folder / SCORES_FILE)
    with pytest.raises(StaleStateError, match="1 scores, but 3 picks"):
        Selection.load(folder)


def test_provenance_is_plain_json(tmp_path):
    content = json.loads((make_selection().save(tmp_path) / SELECTION_FILE).read_text())
    assert content["n_picked"] == 3
    assert content["method"] == {"name": "loss"}
