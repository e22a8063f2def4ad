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
def _torch_varlen() -> tuple[Callable[..., Any], frozenset[str]] | None:
    """``torch.nn.attention.varlen.varlen_attn`` with the names of its parameters, or None before torch 2.10."""
    if importlib.util.find_spec("torch.nn.attention.varlen") is None:
        return None
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn, frozenset(inspect.signature(varlen_attn).parameters)


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
    varlen = _flash_attn_varlen()
    if varlen is not None:
        segments = (cu_seq_lens, cu_seq_lens, max_length, max_length)
        output: torch.Tensor = varlen(
            query, key, value, *segments,
            dropout_p=dropout, softmax_scale=scaling, causal=True, window_size=(n_before, 0 if n_before >= 0 else -1),
        )  # fmt: skip
        return output
    found = _torch_varlen()
    if found is None:
        raise RuntimeError("No FlashAttention varlen kernel: install flash-attn, or torch 2.10 or later.")
    return _torch_flash_attention(*found, query, key, value, cu_seq_lens, max_length, scaling, n_before)


def _torch_flash_attention(
    varlen: Callable[..., Any],
    parameters: frozenset[str],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_lens: torch.Tensor,
    max_length: int,
    scaling: float | None,
    n_before: int,
) -> torch.Tensor:
    """Torch's kernel, whose arguments changed from release to release."""
    options: dict[str, Any] = {}
    if "window_size" in parameters:
        options["window_size"] = (n_before, 0)
    elif n_before < 0:
        options["is_causal"] = True
    else:
        raise RuntimeError("The varlen kernel of this torch has no sliding window: install flash-attn or torch 2.11.")
    if query.shape[1] != key.shape[1]:
        if "enable_gqa" in parameters:
            options["enable_gqa"] = True
        else:
            n_shared = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(n_shared, 1), value.repeat_interleave(n_shared, 1)
    if "scale" in parameters:
        options["scale"] = scaling
    elif scaling is not None:
        query = query * (scaling * query.shape[-1] ** 0.5)
    tensors = (states.contiguous() for states in (query, key, value))
    output: torch.Tensor = varlen(*tensors, cu_seq_lens, cu_seq_lens, max_length, max_length, **options)
    return output
