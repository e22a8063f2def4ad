"""FlashAttention over segments: the ``flash_attn`` package where it is installed, else the kernel inside torch.

Both want (tokens, heads, D) in half precision on a GPU of compute capability 8.0 or later.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

MAX_HEAD_DIM = 256


@lru_cache(maxsize=1)
def _flash_attn_varlen() -> Callable[..., Any] | None:
    """``flash_attn.flash_attn_varlen_func`` or None."""
    if importlib.util.find_spec("flash_attn") is None:
        return None
    from flash_attn import flash_attn_varlen_func

    return flash_attn_varlen_func  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _torch_varlen() -> tuple[Callable[..., Any], bool] | None:
    """``torch.nn.attention.varlen.varlen_attn`` and whether it knows grouped heads; None where it is too old."""
    if importlib.util.find_spec("torch.nn.attention.varlen") is None:
        return None
    from torch.nn.attention.varlen import varlen_attn

    parameters = inspect.signature(varlen_attn).parameters
    if not {"window_size", "scale"} <= parameters.keys():  # torch 2.10: no window, and other names
        return None
    return varlen_attn, "enable_gqa" in parameters


@lru_cache
def _has_tensor_cores(device: torch.device) -> bool:
    """Whether the FlashAttention 2 kernels run on this device."""
    return torch.version.hip is None and torch.cuda.get_device_capability(device)[0] >= 8


def flash_is_usable(query: torch.Tensor, value: torch.Tensor, dropout: float) -> bool:
    """Whether :func:`flash_attention` can serve these tensors.

    Args:
        query: (tokens, H, D).
        value: (tokens, H_kv, D_v).
        dropout: probability that an attention weight is dropped; torch's own kernel has no dropout.

    Returns:
        True on a GPU, in half precision, with head sizes the kernels know.
    """
    if not query.is_cuda or query.dtype not in (torch.float16, torch.bfloat16):
        return False
    head_dim = query.shape[-1]
    if head_dim % 8 or head_dim > MAX_HEAD_DIM or value.shape[-1] != head_dim or not _has_tensor_cores(query.device):
        return False
    return _flash_attn_varlen() is not None or (not dropout and _torch_varlen() is not None)


def flash_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_lens: torch.Tensor,
    max_length: int,
    dropout: float,
    scaling: float | None,
    sliding_window: int | None,
) -> torch.Tensor:
    """Causal attention inside every segment, with FlashAttention's varlen kernel.

    Args:
        query: (tokens, H, D).
        key: (tokens, H_kv, D); H is a multiple of H_kv.
        value: (tokens, H_kv, D).
        cu_seq_lens: (n_segments + 1,) bounds of the segments.
        max_length: the longest segment in tokens.
        dropout: probability that an attention weight is dropped.
        scaling: factor of the scores; None is ``D ** -0.5``.
        sliding_window: number of tokens that a token sees, itself included; None is all before it.

    Returns:
        The output, (tokens, H, D).

    Raises:
        RuntimeError: neither package is there; :func:`flash_is_usable` says so beforehand.
    """
    cu_seq_lens = cu_seq_lens.to(torch.int32)
    # FlashAttention counts the tokens before a token; transformers counts that token too.
    n_before = -1 if sliding_window is None else sliding_window - 1
    segments = (cu_seq_lens, cu_seq_lens, max_length, max_length)
    output: torch.Tensor
    varlen = _flash_attn_varlen()
    if varlen is not None:
        options: dict[str, Any] = {"dropout_p": dropout, "softmax_scale": scaling, "causal": True}
        output = varlen(query, key, value, *segments, window_size=(n_before, n_before), **options)
        return output
    found = _torch_varlen()
    if found is None:
        raise RuntimeError("No FlashAttention varlen kernel: install flash-attn, or torch 2.11 or later.")
    torch_varlen, knows_groups = found
    options = {"scale": scaling, "window_size": (n_before, 0)}
    if query.shape[1] != key.shape[1]:
        if knows_groups:
            options["enable_gqa"] = True
        else:
            n_shared = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(n_shared, 1), value.repeat_interleave(n_shared, 1)
    tensors = (states.contiguous() for states in (query, key, value))
    output = torch_varlen(*tensors, *segments, **options)
    return output
