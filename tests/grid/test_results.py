"""What a comparison writes: means of the seeds whose cell did not fail, and every cell as a row of a table."""

import pyarrow.parquet as pq
import pytest

from hf_select.grid.results import arms_of, write_cells

CELLS = [
    {"method": "full", "budget": "100%", "seed": 0, "accuracy": 0.9, "rows": 100},
    {"method": "random", "budget": "5%", "seed": 0, "accuracy": 0.5, "rows": 10, "excluded": {}},
    {"method": "random", "budget": "5%", "seed": 1, "accuracy": 0.7, "rows": 10, "excluded": {}},
    {"method": "bald", "budget": "5%", "seed": 0, "error": "ModelError: no dropout"},
    {"method": "zip", "budget": "5%", "seed": 0, "accuracy": 0.4, "rows": 9, "excluded": {"an empty text": 2}},
    {"method": "zip", "budget": "5%", "seed": 1, "error": "ConfigError: x"},
]


def test_arms_are_means_over_the_seeds_that_did_not_fail():
    arms = arms_of(CELLS)
    assert [arm["name"] for arm in arms] == ["full", "random:5%", "zip:5%"]
    assert [arm["accuracy"] for arm in arms] == [0.9, pytest.approx(0.6), 0.4]
    assert [arm["seeds"] for arm in arms] == [[0], [0, 1], [0]]
    assert arms[1]["pass_at_1"] is None
    promised = {
        *("name", "rows", "tokens", "selection_seconds", "training_seconds", "padding_fraction", "peak_memory_bytes"),
        *("validation_loss", "pass_at_1", "seeds"),
    }
    assert all(promised <= set(arm) for arm in arms)


def test_cells_are_rows_of_a_table(tmp_path):
    table = pq.read_table(write_cells(tmp_path / "cells.parquet", CELLS))
    assert table.num_rows == 6
    assert table["accuracy"].to_pylist() == [0.9, 0.5, 0.7, None, 0.4, None]
    assert table["excluded"].to_pylist()[4] == '{"an empty text": 2}'
    assert table["error"].to_pylist()[3] == "ModelError: no dropout"
