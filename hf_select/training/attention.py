"""Packed attention: many samples in one row, and no token sees a token of another sample.

    row        a a a b b | c c c c .        three samples a, b, c and the padding tail of a batch of two rows
    flattened  a a a b b   c c c c .
    cu_seq_lens  0   3   5       9 10       where segments begin, and where the last one ends

Importing this module registers :func:`packed_attention_forward` with ``transformers.AttentionInterface`` under
:data:`PACKED_ATTENTION`. A forward pass tells it the segments with the keyword arguments that FlashAttention users
know: ``cu_seq_lens_q``, ``cu_seq_lens_k`` (int32, over the flattened batch), ``max_length_q``, ``max_length_k`` (int).
Every model of transformers whose attention goes through that interface hands them on untouched.

No mask is ever built, so an attention costs the sum of the squared segment lengths and not the square of their sum.
The work is done by FlashAttention's varlen kernel on a GPU in half precision, else by one ``sdpa`` call per run of
segments of one length.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import groupby, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import AttentionInterface, PreTrainedModel

from hf_select.errors import PackingError
from hf_select.training.flash import flash_attention, flash_is_usable

PACKED_ATTENTION = "hf_select_packed"
"""The name under which the packed attention is registered, for ``attn_implementation=``."""

Bounds = tuple[int, ...]

_NO_SEGMENTS = (
    f"{PACKED_ATTENTION!r} needs the segment bounds of the batch (cu_seq_lens_q), and this call has none. Batches of "
    "DynamicPackCollator carry them; for anything else (generation, unpacked batches) leave packed_attention, or wrap "
    "the call in `with plain_attention(model):`."
)

# Reading the bounds waits for the GPU. All layers of one forward pass get the same tensor, so it is read once.
_BOUNDS: MutableMapping[torch.Tensor, tuple[int, Bounds]] = WeakTensorKeyDictionary()


def packed_attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    cu_seq_lens_k: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside every segment, none between segments.

    Args:
        module: the attention layer that calls; only its ``is_causal`` is read.
        query: (B, H, L, D).
        key: (B, H_kv, L, D); H is a multiple of H_kv.
        value: (B, H_kv, L, D_v).
        attention_mask: must be None, the segments say it all.
        dropout: probability that an attention weight is dropped.
        scaling: factor of the scores; None is ``D ** -0.5``.
        sliding_window: number of tokens that a token sees, itself included; None is all before it.
        is_causal: overrides the layer's own ``is_causal``; anything but True is refused.
        cu_seq_lens_q: (n_segments + 1,) int32, bounds of the segments in the B * L flattened tokens.
        cu_seq_lens_k: the same bounds (there is no cache).
        **kwargs: what else the layer hands over: score modifications are refused, ``max_length_q`` and ``max_length_k``
            are known from the bounds, the rest does not concern attention.

    Returns:
        The output (B, L, H, D_v), and None for the attention weights, which never exist as a whole.

    Raises:
        PackingError: no or wrong segment bounds, a mask, a cache, an attention that is not causal, or a score
            modification (soft cap, sinks, position bias) that would be dropped in silence.
    """
    n_rows, _, row_length, _ = query.shape
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    _refuse_unsupported(causal, attention_mask, key.shape[2] - row_length, kwargs)
    if cu_seq_lens_q is None:
        raise PackingError(_NO_SEGMENTS)
    bounds = _bounds(cu_seq_lens_q, n_rows * row_length)
    if cu_seq_lens_k is not None and _bounds(cu_seq_lens_k, bounds[-1]) != bounds:
        raise PackingError("cu_seq_lens_q and cu_seq_lens_k differ: packed self-attention has one set of segments.")

    q, k, v = (states.transpose(1, 2).flatten(0, 1) for states in (query, key, value))
    if flash_is_usable(q, v, dropout):
        longest = max(end - start for start, end in pairwise(bounds))
        output = flash_attention(q, k, v, cu_seq_lens_q, longest, dropout, scaling, sliding_window)
    else:
        output = _attention_by_segment(q, k, v, bounds, dropout, scaling, sliding_window)
    return output.view(n_rows, row_length, *output.shape[1:]), None


def _refuse_unsupported(
    causal: bool, attention_mask: torch.Tensor | None, n_cached: int, kwargs: dict[str, Any]
) -> None:
    """Raise for everything that would silently not happen in this attention."""
    if not causal:
        raise PackingError(f"{PACKED_ATTENTION!r} is causal and this attention layer is not: pad instead of packing.")
    if attention_mask is not None:
        raise PackingError(
            f"{PACKED_ATTENTION!r} takes no attention_mask: segments are given by cu_seq_lens_q. Leave the mask out."
        )
    if n_cached:
        raise PackingError(
            f"Keys are {n_cached} tokens longer than queries: {PACKED_ATTENTION!r} works without a cache. "
            "Pass use_cache=False, or wrap generation in `with plain_attention(model):`."
        )
    for name in ("softcap", "s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise PackingError(
                f"{PACKED_ATTENTION!r} does not know the score modification {name!r} of this model. Train it with its "
                "own attention (eager) on the same packed batches, after check_packing(model) has said that it is safe."
            )


def _bounds(cu_seq_lens: torch.Tensor, n_tokens: int) -> Bounds:
    """The segment bounds as numbers, checked to cover the flattened batch exactly."""
    version = 0 if cu_seq_lens.is_inference() else cu_seq_lens._version
    cached = _BOUNDS.get(cu_seq_lens)
    if cached is not None and cached[0] == version:
        bounds = cached[1]
    else:
        bounds = tuple(cu_seq_lens.tolist())
        if bounds[0] != 0 or len(bounds) < 2 or any(end <= start for start, end in pairwise(bounds)):
            raise PackingError(f"cu_seq_lens_q must rise from 0 without empty segments, got {_shown(bounds)}.")
        _BOUNDS[cu_seq_lens] = (version, bounds)
    if bounds[-1] != n_tokens:
        raise PackingError(
            f"cu_seq_lens_q covers {bounds[-1]} tokens and the batch has {n_tokens}, padding included. A wrapper that "
            "adds tokens (prompt or prefix tuning) or splits the batch (DataParallel) cannot take packed batches."
        )
    return bounds


def _shown(bounds: Sequence[int]) -> str:
    """Bounds for an error message, cut to the first eight."""
    return str(list(bounds[:8])) if len(bounds) <= 8 else f"{list(bounds[:8])} and {len(bounds) - 8} more"


def _attention_by_segment(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    dropout: float,
    scaling: float | None,
    sliding_window: int | None,
) -> torch.Tensor:
    """One ``sdpa`` call per run of neighbouring segments of one length; inputs and output are (tokens, heads, D)."""
    is_grouped = query.shape[1] != key.shape[1]
    if is_grouped and query.is_cuda:  # the memory-efficient CUDA kernel has no grouped heads, and math is the fallback
        n_shared = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(n_shared, 1), value.repeat_interleave(n_shared, 1)
        is_grouped = False
    outputs = []
    lengths = [end - start for start, end in pairwise(bounds)]
    start = 0
    for length, run in groupby(lengths):
        end = start + length * len(list(run))
        q, k, v = (_split(states[start:end], length) for states in (query, key, value))
        window = None
        if sliding_window is not None and sliding_window < length:
            window = torch.ones(length, length, dtype=torch.bool, device=query.device).tril().triu(1 - sliding_window)
        output = F.scaled_dot_product_attention(
            q, k, v, window, dropout_p=dropout, is_causal=window is None, scale=scaling, enable_gqa=is_grouped
        )
        outputs.append(output.transpose(1, 2).flatten(0, 1))
        start = end
    return torch.cat(outputs)


def _split(states: torch.Tensor, length: int) -> torch.Tensor:
    """Segments of one length: (tokens, heads, D) -> (segments, heads, length, D)."""
    return states.reshape(-1, length, *states.shape[1:]).transpose(1, 2)


@contextmanager
def packed_attention(model: torch.nn.Module) -> Iterator[None]:
    """Run a model with the packed attention, and give it back as it was.

    Inside, every forward pass must carry ``cu_seq_lens_q`` (batches of ``DynamicPackCollator`` do) and
    ``config.use_cache`` is False. The context can be nested. It cannot see what a model does between its attention
    layers: ``check_packing(model)`` measures that.

    Args:
        model: a model of transformers, bare or wrapped (PEFT, DDP, ``torch.compile``).

    Yields:
        None: the model is changed in place.

    Raises:
        PackingError: the attention of the model does not go through ``AttentionInterface``, or the model also carries
            a recurrent state from token to token.

    Example:
        ``with packed_attention(model): trainer.train()``
    """
    inner = pretrained_model(model)
    name = type(inner).__name__
    if getattr(inner, "_is_stateful", False):
        raise PackingError(
            f"{name} carries a recurrent state from one token to the next, which no attention can stop at a segment's "
            "end. Pad instead of packing (PaddingCollator)."
        )
    # Models without this name in their source would take the setting and never look at it (checked: Mamba, BLOOM).
    if not any(hasattr(_source(module), "ALL_ATTENTION_FUNCTIONS") for module in inner.modules()):
        raise PackingError(
            f"The attention of {name} does not go through transformers.AttentionInterface, so it cannot be exchanged. "
            "Keep its own attention on packed batches if check_packing(model) passes, else pad (PaddingCollator)."
        )
    with _attention(inner, PACKED_ATTENTION, use_cache=False):
        yield


@contextmanager
def plain_attention(model: torch.nn.Module, implementation: str = "sdpa") -> Iterator[None]:
    """Step out of :func:`packed_attention` for a while, for example to generate during training.

    Args:
        model: a model of transformers, bare or wrapped.
        implementation: the attention to use inside, ``"sdpa"`` by default. A model that is not packed keeps its own.

    Yields:
        None: the model is changed in place.

    Raises:
        PackingError: there is no model of transformers in ``model``.
    """
    inner = pretrained_model(model)
    if inner.config._attn_implementation != PACKED_ATTENTION:
        yield
        return
    with _attention(inner, implementation, use_cache=True):
        yield


def pretrained_model(model: torch.nn.Module) -> PreTrainedModel:
    """The model of transformers inside its wrappers.

    Args:
        model: a ``PreTrainedModel``, or a PEFT, DDP or compiled wrapper of one.

    Returns:
        The outermost ``PreTrainedModel``.

    Raises:
        PackingError: there is none.
    """
    for module in model.modules():  # outermost first
        if isinstance(module, PreTrainedModel):
            return module
    raise PackingError(f"{type(model).__name__} holds no transformers.PreTrainedModel, so its attention is unknown.")


def _source(module: torch.nn.Module) -> Any:
    """The Python module that defines the class of a layer."""
    return sys.modules.get(type(module).__module__)


@contextmanager
def _attention(model: PreTrainedModel, implementation: str, *, use_cache: bool) -> Iterator[None]:
    """Set the attention of a model and of its parts, and ``config.use_cache``; restore each on exit."""
    config = model.config
    found: str | dict[str, str] = config._attn_implementation
    parts = {name: part for name in config.sub_configs if (part := getattr(config, name, None)) is not None}
    if parts:  # a part of a multimodal model may have an attention of its own
        found = {"": config._attn_implementation, **{name: part._attn_implementation for name, part in parts.items()}}
    text_config = config.get_text_config()
    cached = text_config.use_cache
    model.set_attn_implementation(implementation)
    if config._attn_implementation != implementation:
        raise PackingError(
            f"{type(model).__name__} kept attention {config._attn_implementation!r} when asked for {implementation!r}. "
            "Keep its own attention on packed batches if check_packing(model) passes, else pad (PaddingCollator)."
        )
    text_config.use_cache = use_cache
    try:
        yield
    finally:
        model.set_attn_implementation(found)
        text_config.use_cache = cached


AttentionInterface.register(PACKED_ATTENTION, packed_attention_forward)
