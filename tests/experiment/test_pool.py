"""What is said of a dataset that cannot be loaded."""

import pytest
from datasets import Dataset

from hf_select.errors import ConfigError
from hf_select.experiment.arguments import DataArguments
from hf_select.experiment.pool import _load_dataset


@pytest.mark.parametrize("share", [0, 1, 8, 0.5, -1])
def test_a_dataset_that_was_cut_short_is_told_so(share, tmp_path):
    Dataset.from_dict({"prompt": ["a" * 50] * 100, "completion": ["b"] * 100}).save_to_disk(tmp_path / "rows")
    assert len(_load_dataset(DataArguments(dataset_name=str(tmp_path / "rows")))) == 100
    [file] = (tmp_path / "rows").glob("*.arrow")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2 if share == 0.5 else share])
    with pytest.raises(ConfigError, match="A file of it is cut short: write the folder anew, or remove its copy below"):
        _load_dataset(DataArguments(dataset_name=str(tmp_path / "rows")))


def test_a_dataset_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="Give a Hub id, or a file or folder that exists and has rows"):
        _load_dataset(DataArguments(dataset_name=str(tmp_path / "nowhere")))
