"""pack_dataset: every sample of a dataset in one row, as best-fit decreasing puts it."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, List, Value, concatenate_datasets

from hf_select.errors import ColumnError, ConfigError, PackingError
from hf_select.training import best_fit_decreasing, pack_dataset


def samples_of(rows: Dataset) -> Counter[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Tokens and labels of every sample, cut where positions restart."""
    found: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for row in rows:
        labels = row.get("labels", row["input_ids"])
        starts = [i for i, position in enumerate(row["position_ids"]) if position == 0]
        for a, b in zip(starts, [*starts[1:], len(row["input_ids"])], strict=True):
            assert row["position_ids"][a:b] == list(range(b - a))
            found[tuple(row["input_ids"][a:b]), (-100, *labels[a + 1 : b])] += 1
    return found


def test_rows_by_hand() -> None:
    dataset = Dataset.from_dict(
        {"input_ids": [[1, 2, 3], [4, 5, 6, 7], [8], [9]], "labels": [[-100, 2, 3], [4, 5, 6, 7], [8], [9]]}
    )
    rows = pack_dataset(dataset, 5)
    assert rows.to_dict() == {
        "input_ids": [[4, 5, 6, 7, 8], [1, 2, 3, 9]],
        "labels": [[-100, 5, 6, 7, -100], [-100, 2, 3, -100]],
        "position_ids": [[0, 1, 2, 3, 0], [0, 1, 2, 0]],
    }


def random_dataset(n_rows: int = 300, columns: tuple[str, ...] = ("input_ids", "labels")) -> Dataset:
    rng = np.random.default_rng(0)
    lists = [rng.integers(1, 1000, rng.integers(1, 60)).tolist() for _ in range(n_rows)]
    return Dataset.from_dict(dict.fromkeys(columns, lists) | {"text": ["x"] * n_rows})


@pytest.mark.parametrize("columns", [("input_ids",), ("input_ids", "labels")])
def test_every_sample_is_in_one_row(columns: tuple[str, ...]) -> None:
    dataset = random_dataset(columns=columns)
    rows = pack_dataset(dataset, 64)
    assert rows.column_names == [*columns, "position_ids"]
    assert rows.features["position_ids"].feature.dtype == "int8"
    assert samples_of(rows) == Counter((tuple(ids), (-100, *ids[1:])) for ids in dataset["input_ids"])
    lengths = [len(ids) for ids in dataset["input_ids"]]
    assert len(rows) == len(best_fit_decreasing(lengths, 64).rows())
    assert max(len(ids) for ids in rows["input_ids"]) <= 64


def test_selected_and_concatenated_datasets_and_other_types() -> None:
    dataset = random_dataset()
    part = dataset.select([7, 3, 200, 3])
    both = concatenate_datasets([part, dataset.select(range(2))])
    assert samples_of(pack_dataset(both, 128)).total() == 6
    small = part.select_columns(["input_ids"]).cast(Features({"input_ids": List(Value("int32"))}))
    rows = pack_dataset(small, 128)
    assert rows.features["input_ids"].feature.dtype == "int32"
    assert samples_of(rows) == samples_of(pack_dataset(part, 128))
    unsigned = part.select_columns(["input_ids"]).cast(Features({"input_ids": List(Value("uint16"))}))
    assert samples_of(pack_dataset(unsigned, 128)) == samples_of(rows)


def test_long_samples_are_cut_with_a_warning() -> None:
    dataset = Dataset.from_dict({"input_ids": [[1] * 9, [2] * 3], "labels": [[-100] * 4 + [1] * 5, [2] * 3]})
    with pytest.warns(UserWarning, match="1 of 2 samples were longer than max_length=6 and lost 3 tokens"):
        rows = pack_dataset(dataset, 6)
    assert rows["input_ids"][0] == [1] * 6
    assert rows["labels"][0] == [-100] * 4 + [1] * 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"input_ids": [[1], []]}, "Sample 1 has 0 tokens"),
        ({"input_ids": [[1], None]}, "missing lists"),
        ({"input_ids": [[1, None]]}, "missing tokens"),
        ({"input_ids": [[1, 2]], "labels": [[1]]}, "2 input_ids and 1 labels"),
        ({"input_ids": [[1] * 7], "labels": [[-100] * 6 + [1]]}, "Row 0 has a prompt of 6 tokens"),
        ({"input_ids": [[1] * 6], "labels": [[-100] * 6]}, "Row 0 has a prompt of 6 tokens"),
        ({"input_ids": ["text"]}, "must hold lists of integers"),
        ({"input_ids": [[0.5]]}, "must hold lists of integers"),
    ],
)
def test_what_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(PackingError, match=message):
        pack_dataset(Dataset(pa.table(columns)), 6)


def test_arguments_are_checked() -> None:
    with pytest.raises(ColumnError, match=r"No column 'input_ids' among \['text'\]"):
        pack_dataset(Dataset.from_dict({"text": ["x"]}), 6)
    with pytest.raises(ConfigError, match="max_length is 0"):
        pack_dataset(random_dataset(2), 0)


def test_the_fingerprint_says_what_the_rows_are_made_of() -> None:
    dataset = random_dataset(20)
    fingerprint = pack_dataset(dataset, 64)._fingerprint
    assert pack_dataset(dataset, 64)._fingerprint == fingerprint
    assert pack_dataset(dataset, 65)._fingerprint != fingerprint
    assert pack_dataset(dataset.select(range(19)), 64)._fingerprint != fingerprint


def test_an_empty_dataset_has_no_rows() -> None:
    assert len(pack_dataset(random_dataset(3).select([]), 64)) == 0
