"""The packed attention against a dense block mask, and the switching of models."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hf_select.errors import PackingError
from hf_select.training import (
    PACKED_ATTENTION,
    packed_attention,
    packed_attention_forward,
    plain_attention,
    pretrained_model,
)

BOUNDS = torch.tensor([0, 3, 7, 11, 12, 16], dtype=torch.int32)  # two neighbours of length 4: one sdpa call


class Layer(nn.Module):
    """What an attention layer shows to the attention function."""

    is_causal = True


def states(n_heads: int, n_rows: int = 2, row_length: int = 8, head_dim: int = 6) -> torch.Tensor:
    return torch.randn(n_rows, n_heads, row_length, head_dim, dtype=torch.float64, requires_grad=True)


def dense(q: Any, k: Any, v: Any, bounds: list[int], scale: float, window: int | None = None) -> torch.Tensor:
    """The formula: softmax over the earlier tokens of the same segment, over the flattened rows."""
    n_rows, n_heads, row_length, _ = q.shape
    k, v = (x.repeat_interleave(n_heads // x.shape[1], 1) for x in (k, v))
    q, k, v = (x.transpose(1, 2).flatten(0, 1).transpose(0, 1) for x in (q, k, v))  # (H, tokens, D)
    n_tokens = n_rows * row_length
    segment = torch.bucketize(torch.arange(n_tokens), torch.tensor(bounds[1:]), right=True)
    query_at, key_at = torch.arange(n_tokens)[:, None], torch.arange(n_tokens)[None]
    seen = (segment[:, None] == segment[None]) & (key_at <= query_at)
    if window is not None:
        seen &= key_at > query_at - window
    weights = (q @ k.transpose(1, 2) * scale).masked_fill(~seen, -math.inf).softmax(-1)
    return (weights @ v).transpose(0, 1).reshape(n_rows, row_length, n_heads, -1)


@pytest.mark.parametrize("shape", [(2, 8), (1, 16)])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("window", [None, 1, 3, 100])
@pytest.mark.parametrize("scaling", [None, 0.7])
def test_it_is_attention_inside_segments(
    shape: tuple[int, int], n_kv_heads: int, window: int | None, scaling: float | None
) -> None:
    torch.manual_seed(0)
    q, k, v = (states(heads, *shape) for heads in (4, n_kv_heads, n_kv_heads))
    output, weights = packed_attention_forward(
        Layer(), q, k, v, None, scaling=scaling, sliding_window=window, cu_seq_lens_q=BOUNDS, cu_seq_lens_k=BOUNDS
    )
    expected = dense(q, k, v, BOUNDS.tolist(), scaling or 6**-0.5, window)
    assert weights is None
    assert output.shape == (*shape, 4, 6)
    torch.testing.assert_close(output, expected)
    mixer = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad((x * mixer).sum(), (q, k, v)) for x in (output, expected))
    torch.testing.assert_close(ours, theirs)


def test_dropout_is_passed_on() -> None:
    q = states(4)
    outputs = [
        packed_attention_forward(Layer(), q, q, q, None, dropout=rate, cu_seq_lens_q=BOUNDS)[0] for rate in (0.0, 0.9)
    ]
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cu_seq_lens_q": None}, "needs the segment bounds of the batch"),
        ({"cu_seq_lens_q": BOUNDS[:-1]}, "covers 12 tokens and the batch has 16"),
        ({"cu_seq_lens_q": BOUNDS[1:]}, "must rise from 0"),
        ({"cu_seq_lens_q": torch.tensor([0, 8, 8, 16])}, "without empty segments"),
        ({"cu_seq_lens_q": torch.tensor([0])}, "must rise from 0"),
        ({"cu_seq_lens_k": torch.tensor([0, 16])}, "differ"),
        ({"attention_mask": torch.ones(2, 1, 8, 8)}, "takes no attention_mask"),
        ({"is_causal": False}, "is causal and this attention layer is not"),
        ({"softcap": 30.0}, "'softcap'"),
        ({"s_aux": torch.ones(4)}, "'s_aux'"),
        ({"position_bias": torch.ones(4)}, "'position_bias'"),
    ],
)
def test_what_would_leak_or_be_dropped_is_refused(arguments: dict[str, Any], message: str) -> None:
    q = states(4)
    with pytest.raises(PackingError, match=message):
        packed_attention_forward(Layer(), q, q, q, **{"attention_mask": None, "cu_seq_lens_q": BOUNDS, **arguments})


def test_a_cache_is_refused() -> None:
    with pytest.raises(PackingError, match="Keys are 4 tokens longer than queries"):
        packed_attention_forward(Layer(), states(4), states(4, 2, 12), states(4, 2, 12), None, cu_seq_lens_q=BOUNDS)


def test_bounds_that_are_changed_in_place_are_read_again() -> None:
    q, bounds = states(4), torch.tensor([0, 3, 16])
    first, _ = packed_attention_forward(Layer(), q, q, q, None, cu_seq_lens_q=bounds)
    bounds[1] = 5
    second, _ = packed_attention_forward(Layer(), q, q, q, None, cu_seq_lens_q=bounds)
    torch.testing.assert_close(second, dense(q, q, q, [0, 5, 16], 6**-0.5))
    assert not torch.allclose(first, second)


def test_it_works_in_inference_mode() -> None:
    with torch.inference_mode():
        q = torch.randn(1, 2, 5, 4)
        bounds = torch.tensor([0, 2, 5])
        for _ in range(2):
            output, _ = packed_attention_forward(Layer(), q, q, q, None, cu_seq_lens_q=bounds)
        torch.testing.assert_close(output, dense(q, q, q, [0, 2, 5], 0.5))


def segments(*lengths: int) -> dict[str, Any]:
    bounds = torch.tensor([0, *lengths]).cumsum(0)
    return {"position_ids": torch.cat([torch.arange(n) for n in lengths])[None], "cu_seq_lens_q": bounds}


def test_the_context_switches_and_restores(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model("llama", "eager")
    ids = torch.randint(97, (1, 9))
    with packed_attention(model):
        assert (model.config._attn_implementation, model.config.use_cache) == (PACKED_ATTENTION, False)
        with packed_attention(model):
            model(ids, **segments(4, 5))
        assert model.config._attn_implementation == PACKED_ATTENTION
        with plain_attention(model):
            assert (model.config._attn_implementation, model.config.use_cache) == ("sdpa", True)
            assert model.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=0).shape == (1, 12)
        assert (model.config._attn_implementation, model.config.use_cache) == (PACKED_ATTENTION, False)
        with pytest.raises(PackingError, match="leave packed_attention"):
            model.generate(ids, max_new_tokens=3, pad_token_id=0)
        with pytest.raises(PackingError, match="needs the segment bounds"):
            model(ids)
    assert (model.config._attn_implementation, model.config.use_cache) == ("eager", True)


def test_the_model_is_restored_after_an_error(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model()
    with pytest.raises(KeyboardInterrupt), packed_attention(model):
        raise KeyboardInterrupt
    assert (model.config._attn_implementation, model.config.use_cache) == ("sdpa", True)


def test_a_model_that_is_not_packed_keeps_its_attention(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model("llama", "eager")
    with plain_attention(model):
        assert model.config._attn_implementation == "eager"


# PEFT still asks for the older of two names.
PEFT_FILTER = pytest.mark.filterwarnings("ignore:.*is_activation_checkpointing:FutureWarning")


@PEFT_FILTER
def test_wrapped_models(tiny_model: Callable[..., Any]) -> None:
    from peft import LoraConfig, get_peft_model

    model = tiny_model()
    wrapped = nn.Sequential(get_peft_model(model, LoraConfig(target_modules=["q_proj"])))
    assert pretrained_model(wrapped) is model
    with packed_attention(wrapped):
        assert model.config._attn_implementation == PACKED_ATTENTION
    assert model.config._attn_implementation == "sdpa"


@PEFT_FILTER
def test_virtual_tokens_are_refused(tiny_model: Callable[..., Any]) -> None:
    from peft import PromptTuningConfig, get_peft_model

    model = get_peft_model(tiny_model(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    bounds = torch.tensor([0, 4, 9])
    with packed_attention(model), pytest.raises(PackingError, match="covers 9 tokens and the batch has 11"):
        model(input_ids=torch.randint(97, (1, 9)), cu_seq_lens_q=bounds)


def test_models_outside_the_attention_interface_are_refused(tiny_model: Callable[..., Any]) -> None:
    from transformers import BloomConfig, MambaConfig

    bloom = tiny_model(BloomConfig(vocab_size=97, hidden_size=32, n_layer=1, n_head=2), "eager")
    with (
        pytest.raises(PackingError, match=r"does not go through transformers\.AttentionInterface"),
        packed_attention(bloom),
    ):
        pass
    mamba = tiny_model(MambaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=1, state_size=4), "eager")
    with pytest.raises(PackingError, match="recurrent state"), packed_attention(mamba):
        pass
    with (
        pytest.raises(PackingError, match=r"holds no transformers\.PreTrainedModel"),
        packed_attention(nn.Linear(2, 2)),
    ):
        pass
    assert bloom.config._attn_implementation == mamba.config._attn_implementation == "eager"
