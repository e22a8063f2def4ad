"""Rows of given lengths cut from the Python standard library, and a tokenizer trained on it."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from hf_select.demo.model import train_tokenizer

# mix -> (median prompt tokens, median response tokens, sigma of the log-normal)
MIXES: dict[str, tuple[int, int, float]] = {
    "instruction": (120, 180, 0.6),
    "long prompt, short response": (300, 12, 0.5),
    "short prompt, long response": (12, 300, 0.5),
    "tiny rows": (10, 15, 0.4),
    "equal rows": (128, 128, 0.0),
    "heavy tail": (60, 90, 1.2),
}


def stdlib_text(n_files: int = 80) -> list[str]:
    """Sources of the first modules of the standard library, in name order."""
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:n_files]
    return [path.read_text(encoding="utf-8", errors="ignore") for path in paths]


def make_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on the standard library."""
    return train_tokenizer(stdlib_text(), vocab_size)


def make_rows(tokenizer: PreTrainedTokenizerFast, mix: str, n_rows: int, max_length: int, seed: int) -> Dataset:
    """Rows whose prompts and responses have about the lengths of a mix."""
    prompt, response, sigma = MIXES[mix]
    rng = np.random.default_rng(seed)
    stream = tokenizer("\n".join(stdlib_text(20)), verbose=False).input_ids

    def text(median: int) -> str:
        n_tokens = int(np.clip(rng.lognormal(np.log(median), sigma), 2, max_length // 2 - 16))
        start = int(rng.integers(0, len(stream) - n_tokens))
        return tokenizer.decode(stream[start : start + n_tokens])

    return Dataset.from_list([{"prompt": text(prompt), "completion": text(response)} for _ in range(n_rows)])
