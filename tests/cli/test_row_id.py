"""Row ids from a selection, a Parquet file, a JSON list and a text file."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_select.cli.row_id import check_row_file, read_row_mask
from hf_select.errors import ConfigError
from hf_select.selection import Selection

IDS = [4, 1, 7]


@pytest.fixture
def files(tmp_path):
    Selection(np.array(IDS), np.zeros(3), 9).save(tmp_path / "selection")
    pq.write_table(pa.table({"row_id": IDS, "score": [1.0, 2.0, 3.0]}), tmp_path / "ids.parquet")
    (tmp_path / "ids.json").write_text(json.dumps(IDS))
    (tmp_path / "ids.txt").write_text("4\n1\n7\n")
    return tmp_path


@pytest.mark.parametrize("name", ["selection", "ids.parquet", "ids.json", "ids.txt", "selection/scores.parquet"])
def test_every_form(files, name):
    check_row_file(files / name, "candidates")
    mask = read_row_mask(files / name, 9, "candidates")
    assert np.flatnonzero(mask).tolist() == [1, 4, 7]
    assert len(mask) == 9


def test_nothing_is_no_mask():
    check_row_file(None, "candidates")
    assert read_row_mask(None, 9, "candidates") is None


def test_a_parquet_file_without_row_ids(tmp_path):
    pq.write_table(pa.table({"id": IDS}), tmp_path / "ids.parquet")
    with pytest.raises(ConfigError, match="holds no row ids"):
        read_row_mask(tmp_path / "ids.parquet", 9, "labelled")


@pytest.mark.parametrize("content", ["[true, false]", '["1"]', "3", "[1.5]"])
def test_json_that_is_no_list_of_row_ids(tmp_path, content):
    (tmp_path / "ids.json").write_text(content)
    with pytest.raises(ConfigError, match="holds no list of row ids"):
        read_row_mask(tmp_path / "ids.json", 9, "labelled")
