"""Rows, reference rows and an optimiser that has begun, for the tests of one optimiser step."""

import numpy as np
import pytest
import torch

from hf_select.rows import RowFormat
from hf_select.signals.models import Companions, Models
from hf_select.signals.source import Options, Source


@pytest.fixture(scope="module")
def pool(rows):
    return rows[:10]  # row 7 has an empty response


@pytest.fixture(scope="module")
def reference(rows):
    return {"loops": rows[10:13], "sums": rows[13:15]}


@pytest.fixture
def make_source(tokenizer, pool, reference):
    def make(model, optimiser=None, rows=pool, reference=reference, folders=(), **options):
        companions = Companions(optimizer=optimiser, checkpoints=tuple(folders))
        settings = {"template": "Q: {prompt} A:", "max_length": 60, "progress": False, "cache_dir": False, **options}
        models = Models(model, tokenizer, companions=companions)
        return Source(rows, RowFormat("completion"), models, Options(**settings), reference=reference)

    return make


def warm(model, kind="adamw", rate=1e-3):
    """An optimiser that has taken four clipped steps; a fresh one, none."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if kind == "sgd":
        optimiser = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=0.1)
    else:
        optimiser = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.95), weight_decay=0.1)
    if kind == "fresh":
        return optimiser
    generator = torch.Generator().manual_seed(4)
    for _ in range(4):
        ids = torch.randint(2, 300, (8, 16), generator=generator)
        classifies = "SequenceClassification" in type(model).__name__
        model(input_ids=ids, labels=ids[:, 0] % 3 if classifies else ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
    return optimiser


def finite(values):
    return values[np.isfinite(values).all(axis=1)]
