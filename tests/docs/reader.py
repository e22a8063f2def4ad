"""What a reader of the pages has at hand: files of rows, and models under the names that the pages use.

The models are tiny ones in folders of those names: a command runs as it stands, without a network.
"""

import json
from pathlib import Path

import numpy as np
from datasets import Dataset
from transformers import Trainer, TrainingArguments

from hf_select.demo import build_model, train_tokenizer

MODELS = ("gpt2", "deepseek-ai/deepseek-coder-1.3b-base")
N_ROWS = 60


def write_rows(folder: Path) -> list[dict[str, str]]:
    """``rows.jsonl`` and ``instructions.jsonl`` in a folder, ``qa.jsonl`` with other columns, ``mbpp.jsonl``."""
    codes = [f"def f():\n    return {i} * {i % 7}\n" * (1 + i % 3) for i in range(N_ROWS)]
    rows = [{"instruction": f"Return {i} things.", "input": "", "output": code} for i, code in enumerate(codes)]
    renamed = [{"question": row["instruction"], "answer": row["output"]} for row in rows]
    problem = {"task_id": 11, "text": "Write a function to add one and two to a number given.", "code": "def g(a): ..."}
    problem |= {"test_list": ["assert g(1) == 4"], "test_setup_code": "", "challenge_test_list": []}
    files = {"rows": rows, "instructions": rows, "qa": renamed, "mbpp": [problem]}
    for name, lines in files.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return rows


def write_models(folder: Path, rows: list[dict[str, str]]) -> tuple[object, object]:
    """A tiny language model under every name of ``MODELS``; gives it with its tokenizer."""
    tokenizer = train_tokenizer([row["instruction"] + row["output"] for row in rows], 270)
    model = build_model(tokenizer, hidden=16, layers=1, heads=2)
    for name in MODELS:
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return model, tokenizer


def names_at_hand(model: object, tokenizer: object, output_dir: Path) -> dict[str, object]:
    """The names that Python blocks use without saying where they come from."""
    rng = np.random.default_rng(0)
    tokenised = [rng.integers(2, 200, 12).tolist() for _ in range(20)]
    arguments = TrainingArguments(
        output_dir=str(output_dir), per_device_train_batch_size=2, max_steps=2, use_cpu=True, report_to="none",
        dataloader_pin_memory=False, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    return {
        "Trainer": Trainer,
        "model": model,
        "tokenizer": tokenizer,
        "tokenised": Dataset.from_list([{"input_ids": row, "labels": row} for row in tokenised]),
        "prompts": Dataset.from_list([{"prompt": f"{i}:", "completion": f" {i % 7}"} for i in range(20)]),
        "args": arguments,
    }
