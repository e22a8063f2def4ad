"""Tiny models of several architectures, a byte-level tokenizer, rows of uneven lengths, and the plain way to score."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from hf_select.demo.model import train_tokenizer
from hf_select.rows import Row
from hf_select.signals.plan import Segment


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return train_tokenizer(["def add(a, b):\n    return a + b\n", "Write a function that adds two numbers."], 300)


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """24 rows; row 7 has an empty response."""
    rng = np.random.default_rng(0)
    words = ["def", "return", "if", "else", "for", "in", "range", "list", "sum", "add", "x", "y", "z"]
    rows = []
    for row_id in range(24):
        prompt = " ".join(rng.choice(words, rng.integers(1, 9)))
        response = " ".join(rng.choice(words, rng.integers(1, 20)))
        rows.append(Row(prompt, "" if row_id == 7 else response))
    return rows


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Any]:
    """A causal language model of two layers with weights that are large enough for a leak to show."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    def make(family: str = "llama", seed: int = 0, **fields: Any) -> Any:
        shared = {
            "vocab_size": 320,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 128,
            "bos_token_id": 1,
            "eos_token_id": 1,
            "pad_token_id": 0,
        }
        if family == "gemma2":
            shared["head_dim"] = 8
        if family == "gpt2":
            shared.pop("intermediate_size"), shared.pop("num_key_value_heads")
        if family == "granite":
            shared |= {"logits_scaling": 4.0}
        config = CONFIG_MAPPING[family](**{**shared, **fields})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(config)
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    torch.nn.init.normal_(parameter, std=0.2)
        return model

    return make


@pytest.fixture(scope="session")
def segments() -> list[Segment]:
    """20 segments of 2 to 40 tokens; segment 5 is empty, segment 9 has no target."""
    rng = np.random.default_rng(1)
    segments = []
    for _ in range(20):
        ids = rng.integers(2, 300, rng.integers(2, 41)).astype(np.int32)
        border = int(rng.integers(1, len(ids)))
        segments.append(Segment(ids[:border], ids[border:]))
    segments[5] = Segment(segments[5].context[:0], segments[5].target[:0])
    segments[9] = Segment(segments[9].context, segments[9].target[:0])
    return segments


@pytest.fixture(scope="session")
def plain_nll() -> Callable[[Any, Sequence[Segment]], np.ndarray]:
    """The loss of transformers itself, one row at a time, with the context masked out of the labels."""
    import torch

    def score(model: Any, segments: Sequence[Segment]) -> np.ndarray:
        losses = []
        model.eval()
        for segment in segments:
            if not len(segment.target):
                losses.append(np.nan)
                continue
            ids = torch.tensor(np.concatenate(segment)[None].astype(np.int64))
            labels = ids.clone()
            labels[:, : len(segment.context)] = -100
            with torch.no_grad():
                losses.append(float(model(input_ids=ids, labels=labels, use_cache=False).loss))
        return np.asarray(losses)

    return score


@pytest.fixture(scope="session")
def make_classifier() -> Callable[..., Any]:
    """A sequence classifier of two layers with weights that are large enough to tell rows apart."""
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    def make(family: str = "roberta", seed: int = 0, **fields: Any) -> Any:
        shared = {
            "vocab_size": 320,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 130,
            "bos_token_id": 1,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "num_labels": 3,
        }
        if family == "distilbert":
            shared |= {"hidden_dim": 48}
        elif family != "gpt2":
            shared |= {"intermediate_size": 48}
        if family in ("llama", "qwen2"):
            shared |= {"num_key_value_heads": 4}
        config = CONFIG_MAPPING[family](**{**shared, **fields})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModelForSequenceClassification.from_config(config)
            for name, parameter in model.named_parameters():
                if parameter.ndim > 1 or name.endswith("bias"):
                    torch.nn.init.normal_(parameter, std=0.2)
        return model.eval()

    return make
