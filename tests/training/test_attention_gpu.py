"""Packed attention in half precision on a GPU, against every sample alone."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from hf_select.training import DynamicPackCollator, attention, check_packing, flash, packed_attention

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
HALF = [torch.bfloat16, torch.float16]


def config(n_kv_heads: int = 2, sliding_window: int | None = None) -> Any:
    """Heads of 64, as FlashAttention is used in practice."""
    from transformers import MistralConfig

    return MistralConfig(
        vocab_size=97, hidden_size=256, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=n_kv_heads, max_position_embeddings=512, sliding_window=sliding_window,
        bos_token_id=1, eos_token_id=1,
    )  # fmt: skip


@pytest.fixture
def model(tiny_model: Callable[..., Any]) -> Callable[..., Any]:
    def make(dtype: torch.dtype, **options: Any) -> Any:
        made = tiny_model(config(**options), "sdpa")
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.ndim > 1:  # logits of order one, as in a trained model
                    parameter.mul_(0.25)
        return made.to("cuda", dtype)

    return make


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of every call that went to the FlashAttention kernel."""
    found: list[int] = []

    def counted(query: torch.Tensor, *rest: Any) -> torch.Tensor:
        assert query.ndim == 3
        found.append(len(query))
        return flash.flash_attention(query, *rest)

    monkeypatch.setattr(attention, "flash_attention", counted)
    return found


def long_features() -> list[dict[str, list[int]]]:
    generator = torch.Generator().manual_seed(0)
    return [
        {"input_ids": torch.randint(2, 97, (n,), generator=generator).tolist()} for n in (70, 12, 128, 200, 33, 5, 64)
    ]


def per_sample(
    model: Any, batch: dict[str, Any]
) -> tuple[dict[tuple[int, ...], torch.Tensor], dict[str, torch.Tensor]]:
    """Logits of every segment by its tokens, and the gradients of the batch's summed loss."""
    moved = {key: value.cuda() if torch.is_tensor(value) else value for key, value in batch.items()}
    output = model(**moved)
    (output.loss * (batch["labels"][:, 1:] != -100).sum()).backward()
    gradients = {name: p.grad.float() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    bounds, ids = batch["cu_seq_lens_q"].tolist(), batch["input_ids"].flatten()
    logits = output.logits.detach().flatten(0, 1).float()
    segments = itertools.pairwise(bounds)
    return {tuple(ids[a:b].tolist()): logits[a:b] for a, b in segments if ids[a] != 0}, gradients


def alone(model: Any, features: Any) -> tuple[dict[tuple[int, ...], torch.Tensor], dict[str, torch.Tensor]]:
    """The same in float32, one sample at a time."""
    logits, gradients = {}, {}
    for feature in features:
        ids = torch.tensor([feature["input_ids"]]).cuda()
        output = model(ids, labels=ids, use_cache=False)
        (output.loss * (ids.shape[1] - 1)).backward()
        logits[tuple(feature["input_ids"])] = output.logits.detach()[0].float()
    gradients = {name: p.grad.float() for name, p in model.named_parameters()}
    return logits, gradients


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return torch.nn.functional.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0).item()


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("layout", ["rows", "flat"])
@pytest.mark.parametrize("sliding_window", [None, 16])
def test_flash_attention_equals_the_samples_alone(
    model: Callable[..., Any],
    tokenizer: Any,
    calls: Any,
    dtype: torch.dtype,
    n_kv_heads: int,
    layout: Any,
    sliding_window: Any,
) -> None:
    features = long_features()
    packed_model = model(dtype, n_kv_heads=n_kv_heads, sliding_window=sliding_window)
    reference = model(torch.float32, n_kv_heads=n_kv_heads, sliding_window=sliding_window)
    reference.load_state_dict(packed_model.state_dict())
    expected, expected_gradients = alone(reference, features)
    batch = DynamicPackCollator(tokenizer, 256, layout=layout)(features)
    with packed_attention(packed_model):
        logits, gradients = per_sample(packed_model, batch)
    assert calls == [batch["input_ids"].numel()] * 2, "both layers must take the FlashAttention kernel"
    assert logits.keys() == expected.keys()
    largest = max(x.abs().max() for x in expected.values()).item()
    for key, value in expected.items():
        assert (logits[key] - value).abs().max().item() < 4 * torch.finfo(dtype).eps * largest
    for name, gradient in expected_gradients.items():
        assert cosine(gradients[name], gradient) > 0.995, name


def test_float32_takes_sdpa_and_is_equal(model: Callable[..., Any], tokenizer: Any, calls: Any) -> None:
    features = long_features()
    packed_model = model(torch.float32)
    expected, expected_gradients = alone(model(torch.float32), features)
    batch = DynamicPackCollator(tokenizer, 256)(features)
    with packed_attention(packed_model):
        logits, gradients = per_sample(packed_model, batch)
    assert calls == []
    for key, value in expected.items():
        torch.testing.assert_close(logits[key], value, atol=2e-4, rtol=2e-4)
    for name, gradient in expected_gradients.items():
        assert cosine(gradients[name], gradient) > 0.99999, name


@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
def test_check_packing(model: Callable[..., Any], dtype: torch.dtype) -> None:
    tested = model(dtype)
    assert check_packing(tested) < 0.03
    with packed_attention(tested):
        assert check_packing(tested) < 0.03


@pytest.mark.parametrize("dtype", HALF)
def test_samples_do_not_notice_their_neighbours(model: Callable[..., Any], tokenizer: Any, dtype: torch.dtype) -> None:
    features = long_features()
    tested = model(dtype)
    batch = DynamicPackCollator(tokenizer, 256, layout="flat")(features)
    with packed_attention(tested), torch.no_grad():
        moved = {key: value.cuda() if torch.is_tensor(value) else value for key, value in batch.items()}
        before = tested(**moved).logits
        start = int(batch["cu_seq_lens_q"][-2])
        moved["input_ids"][:, :start] = 5
        after = tested(**moved).logits
    assert not torch.equal(before[:, :start], after[:, :start])
    assert torch.equal(before[:, start:], after[:, start:])


@pytest.mark.filterwarnings("ignore:.*activation_checkpointing_enable:FutureWarning")  # the older name, for 5.10
def test_gradient_checkpointing_and_autocast(model: Callable[..., Any], tokenizer: Any, calls: Any) -> None:
    """Mixed precision as a Trainer runs it: float32 weights, bfloat16 attention."""
    tested = model(torch.float32)
    batch = DynamicPackCollator(tokenizer, 256, layout="flat")(long_features())
    with packed_attention(tested), torch.autocast("cuda", torch.bfloat16):
        _, plain = per_sample(tested, batch)
        tested.train()
        tested.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        _, checkpointed = per_sample(tested, batch)
    assert calls, "autocast must reach the FlashAttention kernel"
    for name, gradient in plain.items():
        assert cosine(checkpointed[name], gradient) > 0.999, name
