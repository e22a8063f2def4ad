"""check_packing: which architectures keep packed samples apart, measured."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from hf_select.errors import PackingError
from hf_select.training import check_packing, packed_attention

SMALL = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "gpt_neox"])
def test_clean_architectures_pass(tiny_model: Callable[..., Any], family: str, attention: str, packed: bool) -> None:
    model = tiny_model(family, attention)
    with packed_attention(model) if packed else nullcontext():
        assert check_packing(model) < 1e-5


def leaking(name: str) -> Any:
    """A configuration whose own attention lets samples see each other."""
    from transformers import BloomConfig, GptOssConfig, Lfm2Config, MambaConfig, OPTConfig

    if name == "opt":
        return OPTConfig(
            vocab_size=97, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=128, word_embed_proj_dim=32, dropout=0.0,
        )  # fmt: skip
    if name == "bloom":
        return BloomConfig(vocab_size=97, hidden_size=32, n_layer=2, n_head=4)
    if name == "mamba":
        return MambaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=2, state_size=4)
    if name == "gpt_oss":
        experts = {"num_local_experts": 2, "num_experts_per_tok": 1}
        return GptOssConfig(
            **SMALL,
            num_key_value_heads=2,
            head_dim=8,
            **experts,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        )
    return Lfm2Config(**SMALL, num_key_value_heads=2, block_multiple_of=8, layer_types=["conv", "full_attention"])


@pytest.mark.parametrize("name", ["opt", "bloom", "mamba", "gpt_oss", "lfm2"])
def test_leaking_architectures_are_refused(tiny_model: Callable[..., Any], name: str) -> None:
    attention = "sdpa" if name in ("opt", "lfm2") else "eager"
    model = tiny_model(leaking(name), attention)
    with pytest.raises(PackingError, match=f"see each other with attention '{attention}'"):
        check_packing(model)


def test_packed_attention_makes_opt_clean(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model(leaking("opt"))
    with packed_attention(model):
        assert check_packing(model) < 1e-5


def test_a_leak_that_is_still_small_is_found(tiny_model: Callable[..., Any]) -> None:
    """Weights as a new LFM2 has them: the leak of its short convolutions is below the tolerance."""
    model = tiny_model(leaking("lfm2"))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(0.1)
    with pytest.raises(PackingError, match="against another neighbour"):
        check_packing(model, tolerance=1.0)


def test_a_score_modification_is_refused_not_dropped(tiny_model: Callable[..., Any]) -> None:
    from transformers import Gemma2Config

    model = tiny_model(Gemma2Config(**SMALL, num_key_value_heads=2, head_dim=8), "eager")
    assert check_packing(model) < 1e-5
    with packed_attention(model), pytest.raises(PackingError, match="'softcap'"):
        check_packing(model)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(tiny_model: Callable[..., Any], dtype: torch.dtype) -> None:
    model = tiny_model().to(dtype)
    assert check_packing(model) < 0.03
    with packed_attention(model):
        assert check_packing(model) < 0.03
    with pytest.raises(PackingError, match="see each other"):
        check_packing(tiny_model(leaking("opt")).to(dtype))


def test_positions_beyond_a_short_model_are_not_used(tiny_model: Callable[..., Any]) -> None:
    from transformers import LlamaConfig

    assert check_packing(tiny_model(LlamaConfig(**{**SMALL, "max_position_embeddings": 12}))) < 1e-5


def test_the_model_is_left_as_found(tiny_model: Callable[..., Any]) -> None:
    from transformers import GPT2Config

    model = tiny_model(
        GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=1)
    )
    model.train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    assert check_packing(model) < 1e-5  # dropout 0.1 would show
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(parameter.grad is None for parameter in model.parameters())
