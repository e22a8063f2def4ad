"""The FlashAttention path without a GPU: what the kernels are given, checked against kernels written in Python."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from hf_select.training import attention, flash, packed_attention_forward

BOUNDS = torch.tensor([0, 3, 8, 12, 16], dtype=torch.int64)


def reference(q: Any, k: Any, v: Any, bounds: Any, longest: int, window: tuple[int, int], scale: float | None) -> Any:
    """FlashAttention's contract: (tokens, heads, D), int32 bounds, a window of tokens before and after."""
    assert q.ndim == k.ndim == v.ndim == 3
    assert bounds.dtype == torch.int32
    assert longest == int(bounds.diff().max())
    outputs = []
    for a, b in zip(bounds.tolist(), bounds.tolist()[1:], strict=False):
        at = torch.arange(b - a)
        seen = at[None] <= at[:, None]
        if window[0] >= 0:
            seen &= at[None] >= at[:, None] - window[0]
        heads = (x[a:b].transpose(0, 1) for x in (q, k, v))
        outputs.append(F.scaled_dot_product_attention(*heads, seen, scale=scale, enable_gqa=True).transpose(0, 1))
    return torch.cat(outputs)


class FlashAttn:
    """The flash_attn package."""

    def __call__(
        self, q: Any, k: Any, v: Any, cu_q: Any, cu_k: Any, max_q: int, max_k: int, *,
        dropout_p: float, softmax_scale: float | None, causal: bool, window_size: tuple[int, int],
    ) -> Any:  # fmt: skip
        assert causal
        assert cu_k is cu_q
        assert max_k == max_q
        self.dropout = dropout_p
        return reference(q, k, v, cu_q, max_q, window_size, softmax_scale)


def torch_varlen(knows_groups: bool) -> Any:
    """torch.nn.attention.varlen.varlen_attn, which asks for contiguous tensors and heads of one number."""

    def varlen(
        q: Any, k: Any, v: Any, cu_q: Any, cu_k: Any, max_q: int, max_k: int, *,
        scale: float | None, window_size: tuple[int, int], enable_gqa: bool = False,
    ) -> Any:  # fmt: skip
        assert enable_gqa == (q.shape[1] != k.shape[1])
        assert knows_groups or not enable_gqa
        assert window_size[1] == 0
        assert q.is_contiguous()
        assert k.is_contiguous()
        return reference(q, k, v, cu_q, max_q, window_size, scale)

    return varlen


@pytest.fixture(params=["flash_attn", "torch", "torch without groups"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    package = FlashAttn() if request.param == "flash_attn" else None
    knows_groups = request.param == "torch"
    monkeypatch.setattr(flash, "_flash_attn_varlen", lambda: package)
    monkeypatch.setattr(flash, "_torch_varlen", lambda: (torch_varlen(knows_groups), knows_groups))
    monkeypatch.setattr(attention, "flash_is_usable", lambda *_: True)
    return package


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_kernels_give_what_sdpa_gives(
    kernel: Any, monkeypatch: pytest.MonkeyPatch, n_kv_heads: int, window: int | None, scaling: float | None
) -> None:
    q, k, v = (torch.randn(2, heads, 8, 6) for heads in (4, n_kv_heads, n_kv_heads))
    arguments = {"scaling": scaling, "sliding_window": window, "cu_seq_lens_q": BOUNDS, "max_length_q": 5}
    by_kernel, _ = packed_attention_forward(torch.nn.Module(), q, k, v, None, **arguments)
    monkeypatch.setattr(attention, "flash_is_usable", lambda *_: False)
    by_sdpa, _ = packed_attention_forward(torch.nn.Module(), q, k, v, None, **arguments)
    torch.testing.assert_close(by_kernel, by_sdpa)


def test_dropout_reaches_flash_attn(kernel: Any) -> None:
    q = torch.randn(1, 2, 16, 6)
    packed_attention_forward(torch.nn.Module(), q, q, q, None, dropout=0.1, cu_seq_lens_q=BOUNDS)
    assert kernel is None or kernel.dropout == 0.1


def test_flash_is_for_half_precision_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not flash.flash_is_usable(torch.ones(4, 2, 8), torch.ones(4, 2, 8), 0.0)

    class Gpu:
        """Enough of a CUDA tensor."""

        is_cuda, device = True, torch.device("cuda", 0)

        def __init__(self, head_dim: int = 64, dtype: torch.dtype = torch.bfloat16) -> None:
            self.shape, self.dtype = (4, 2, head_dim), dtype

    def usable(query: Any, value: Any = None, dropout: float = 0.0) -> bool:
        return flash.flash_is_usable(query, value or query, dropout)

    monkeypatch.setattr(flash, "_has_tensor_cores", lambda _: True)
    monkeypatch.setattr(flash, "_flash_attn_varlen", lambda: None)
    monkeypatch.setattr(flash, "_torch_varlen", lambda: (None, True))
    assert usable(Gpu())
    assert usable(Gpu(dtype=torch.float16))
    assert not usable(Gpu(dtype=torch.float32))
    assert not usable(Gpu(head_dim=20))
    assert not usable(Gpu(head_dim=512))
    assert not usable(Gpu(), Gpu(head_dim=128))
    assert not usable(Gpu(), dropout=0.1), "the kernel inside torch has no dropout"
    monkeypatch.setattr(flash, "_flash_attn_varlen", FlashAttn)
    assert usable(Gpu(), dropout=0.1)
    monkeypatch.setattr(flash, "_has_tensor_cores", lambda _: False)
    assert not usable(Gpu())
