"""The code of the README runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from transformers import Trainer, TrainingArguments

from hf_select.demo import build_model, train_tokenizer

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def block(word: str) -> str:
    """The Python block of the README that holds a word."""
    [found] = [text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in text]
    return found


@pytest.fixture
def names(tmp_path):
    """What a reader of the README has at hand: a model, a tokenizer, a tokenised dataset, arguments."""
    rng = np.random.default_rng(0)
    tokenizer = train_tokenizer(["return a + b"] * 4, 260)
    rows = [rng.integers(2, 200, 12).tolist() for _ in range(20)]
    args = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=2, max_steps=201, use_cpu=True, report_to="none",
        dataloader_pin_memory=False, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    return {
        "Trainer": Trainer,
        "model": build_model(tokenizer, hidden=16, layers=1, heads=2),
        "tokenizer": tokenizer,
        "tokenised": Dataset.from_list([{"input_ids": row, "labels": row} for row in rows]),
        "args": args,
    }


def test_the_callback_in_five_lines(names):
    lines = [line for line in block("SelectionCallback").splitlines() if line.strip()]
    assert len(lines) <= 5
    exec(block("SelectionCallback"), names)
    assert [entry["step"] for entry in names["callback"].ledger] == [200]
    assert names["callback"].ledger[0]["n_rows"] == 8


def test_the_collator(names):
    names["args"].max_steps = 2
    exec(block("DynamicPackCollator"), names)
    assert names["trainer"].state.global_step == 2
