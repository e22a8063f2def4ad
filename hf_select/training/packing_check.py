"""Does a model keep packed samples apart? Measured on the model itself, because only that is proof."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from hf_select.errors import PackingError
from hf_select.training.attention import PACKED_ATTENTION, plain_attention, pretrained_model

_LENGTHS = (24, 40)


@torch.no_grad()
def check_packing(model: torch.nn.Module, *, tolerance: float = 1e-4) -> float:
    """Pack two random samples, compare with running them alone, and refuse a model that mixes them.

    It also exchanges the first sample and asks that the second does not notice: this finds leaks that are still small
    because the weights are (the short convolutions of a new LFM2, 1e-4 of the logits).

    The model runs as it is set: inside ``packed_attention(model)`` with segment bounds, else with its own attention,
    restarting ``position_ids``, no mask and ``use_cache=False``. Alone, a packed model runs with its eager attention,
    so that a model which needs more than causal attention is found too. Train mode, dropout and random state stay.

    Args:
        model: a causal language model of transformers, bare or wrapped.
        tolerance: largest allowed ``max|packed - alone| / max|alone|`` of the logits. Half precision is never judged
            more strictly than 4 rounding steps (0.03 in bfloat16, 0.004 in float16). Exchanging the neighbour may
            change 8 rounding steps at most.

    Returns:
        The difference that was found, relative to the largest logit.

    Raises:
        PackingError: the samples see each other, or the model cannot run packed batches at all.
    """
    inner = pretrained_model(model)
    config = inner.config.get_text_config()
    limit = min(getattr(config, "max_position_embeddings", None) or sum(_LENGTHS), sum(_LENGTHS))
    lengths = [length * limit // sum(_LENGTHS) for length in _LENGTHS]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (1, sum(lengths)), generator=generator).to(inner.device)
    with _evaluating(model):
        packed = _logits(model, ids, lengths)
        other = ids.clone()
        other[:, : lengths[0]] = (other[:, : lengths[0]] + 1) % config.vocab_size
        beside_other = _logits(model, other, lengths)
        with plain_attention(model, "eager"):
            alone = torch.cat(
                [_logits(model, sample, [sample.shape[1]]) for sample in torch.split(ids, lengths, dim=1)], 1
            )
    difference = _relative(packed - alone, alone)
    leak = _relative((packed - beside_other)[:, lengths[0] :], alone)
    eps = torch.finfo(inner.dtype).eps
    allowed, allowed_leak = max(tolerance, 4 * eps), 8 * eps
    if not (difference <= allowed and leak <= allowed_leak):  # not a number is refused too
        raise PackingError(
            f"Packed samples of {type(inner).__name__} see each other with attention "
            f"{inner.config._attn_implementation!r}. Against running alone, logits change by {difference:.1e} of the "
            f"largest (allowed {allowed:.1e}); against another neighbour, by {leak:.1e} (allowed {allowed_leak:.1e}). "
            f"{_remedy(inner)}"
        )
    return difference


def _relative(change: torch.Tensor, logits: torch.Tensor) -> float:
    """The largest change as a share of the largest logit."""
    return (change.abs().max() / logits.abs().max()).item()


def _logits(model: torch.nn.Module, ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """Logits of one packed row, called as a batch of ``DynamicPackCollator`` calls the model."""
    inner = pretrained_model(model)
    position_ids = torch.cat([torch.arange(length) for length in lengths])[None].to(ids.device)
    segments = {}
    if inner.config._attn_implementation == PACKED_ATTENTION:
        bounds = torch.tensor([0, *lengths], dtype=torch.int32, device=ids.device).cumsum(0, dtype=torch.int32)
        longest = max(lengths)
        segments = {"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": longest, "max_length_k": longest}
    try:
        logits: torch.Tensor = model(
            input_ids=ids, position_ids=position_ids, use_cache=False, **segments
        ).logits.float()
    except TypeError as error:
        raise PackingError(
            f"{type(inner).__name__} cannot run a packed batch ({error}): pad instead of packing (PaddingCollator)."
        ) from error
    return logits


def _remedy(model: PreTrainedModel) -> str:
    """What to do about a model that leaks."""
    if model.config._attn_implementation == PACKED_ATTENTION:
        return "It needs more than causal attention: pad instead of packing (PaddingCollator)."
    return "Try again inside packed_attention(model); if that refuses too, pad instead of packing (PaddingCollator)."


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode for a while; every layer gets back the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
