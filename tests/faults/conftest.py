"""A random model, rows to score, and a selection that counts the batches it computes."""

import pytest
import torch
from datasets import Dataset

from hf_select.demo import build_model, build_pool, train_tokenizer
from hf_select.select import select
from hf_select.signals import shards

N_ROWS = 40


@pytest.fixture(scope="session")
def rows():
    """40 rows of prompt and completion."""
    pool = build_pool(0, n_rows=N_ROWS, n_test=2).train
    return Dataset.from_list([{"prompt": row["prompt"], "completion": row["completion"]} for row in pool])


@pytest.fixture(scope="session")
def tokenizer(rows):
    return train_tokenizer([*rows["prompt"], *rows["completion"]], 300)


@pytest.fixture
def model(tokenizer):
    return build_model(tokenizer, 0, hidden=16, heads=2, layers=1, max_length=512)


@pytest.fixture
def score(rows, tokenizer, model, monkeypatch):
    """Select ten rows by their loss; gives the selection and the number of batches that were computed."""
    timed, n_read = shards._Meter.timed, []

    def counted(meter, read_batch, rows, bar):
        n_read.append(len(rows))
        return timed(meter, read_batch, rows, bar)

    monkeypatch.setattr(shards._Meter, "timed", counted)
    torch.set_num_threads(1)

    def run(cache_dir, dataset=rows, scoring=model, method="loss"):
        n_read.clear()
        options = {"tokenizer": tokenizer, "max_tokens_per_batch": 128, "cache_dir": cache_dir, "progress": False}
        return select(dataset, method, 10, model=scoring, **options), len(n_read)

    return run
