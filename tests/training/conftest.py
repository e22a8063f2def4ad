"""Tiny models of four architectures, without dropout, and features of uneven lengths."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

VOCABULARY = 97
FAMILIES = ("llama", "qwen2", "gpt2", "gpt_neox")


def config_of(family: str) -> Any:
    """A configuration of two layers, hidden size 32."""
    from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, Qwen2Config

    shared = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "bos_token_id": 1,
        "eos_token_id": 1,
    }
    if family == "llama":
        return LlamaConfig(**shared, num_key_value_heads=2)
    if family == "qwen2":
        return Qwen2Config(**shared, num_key_value_heads=4)
    if family == "gpt_neox":
        return GPTNeoXConfig(**shared)
    return GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., Any]:
    """Make a tiny causal language model of a family (or a configuration) with weights that are always the same."""
    from transformers import AutoModelForCausalLM

    def make(family: Any = "llama", attn_implementation: str = "sdpa") -> Any:
        config = config_of(family) if isinstance(family, str) else family
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config, attn_implementation=attn_implementation)
            for parameter in model.parameters():
                if parameter.ndim > 1:  # larger than the usual 0.02, so that a leak cannot hide
                    torch.nn.init.normal_(parameter, std=0.2)
        return model

    return make


@pytest.fixture
def tokenizer() -> Any:
    """All that a collator asks of a tokenizer."""
    return SimpleNamespace(pad_token_id=0, eos_token_id=1)


@pytest.fixture
def features() -> list[dict[str, list[int]]]:
    """Six samples of 3 to 23 tokens; the first third of each is the prompt."""
    rng = np.random.default_rng(0)
    samples = []
    for n_tokens in (7, 12, 3, 23, 12, 9):
        input_ids = rng.integers(2, VOCABULARY, n_tokens).tolist()
        n_prompt = n_tokens // 3
        samples.append({"input_ids": input_ids, "labels": [-100] * n_prompt + input_ids[n_prompt:]})
    return samples
