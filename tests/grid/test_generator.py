"""The generation task: rows whose prompt alone fills ``max_length``."""

import json

import pytest

from hf_select.errors import RowError
from hf_select.grid.base import BaseModel
from hf_select.grid.data import load_data
from hf_select.grid.generator import drop_rows_without_room
from tests.grid.conftest import parse


def prepared(tmp_path, *words):
    from hf_select.demo.model import train_tokenizer

    path = tmp_path / "rows.jsonl"
    prompts = ["add", "subtract", "x " * 60, "divide"]
    path.write_text("".join(json.dumps({"prompt": prompt, "completion": "y"}) + "\n" for prompt in prompts))
    names = ("--dataset_name", str(path), "--task", "causal_lm", "--benchmarks", "", "--template", "plain")
    arguments = parse(*names, "--max_length", "40", *words)
    return load_data(arguments), BaseModel(arguments, "demo", train_tokenizer(prompts, 258), 0)


def test_rows_without_room_stop_the_run_unless_they_may_be_left_out(tmp_path):
    with pytest.raises(RowError, match="--drop_long_prompts"):
        drop_rows_without_room(*prepared(tmp_path))
    left = drop_rows_without_room(*prepared(tmp_path, "--drop_long_prompts"))
    assert left.dataset["prompt"][:] == ["add", "subtract", "divide"]
    assert len(left.texts) == len(left.groups) == 3
    assert "x x" not in "".join(left.texts)
