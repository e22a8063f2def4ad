"""One forward pass over a batch of segments: losses where they are asked for, hidden states pooled, and nothing else.

A model can be read in several ways that differ in cost: packed or padded, with its head applied only where a loss is
read or inside its own forward pass. A way is used only after ``check_packing`` found that segments do not see one
another, and after it reproduced the losses of the plain model on two short segments. So a model that leaks, or that
scales or caps its logits, is read in the next way and never wrongly.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hf_select.errors import ModelError, PackingError
from hf_select.signals.identity import require_whole
from hf_select.signals.layout import Inputs, Layout, lay_out
from hf_select.signals.plan import Segment

logger = logging.getLogger("hf_select")

POOLS = ("row", "prompt", "response")
"""Which tokens of a segment a pooled state is the mean of: all, the context, the target."""

_MAX_LOGIT_BYTES = 32 * 2**20  # float32 logits that exist at once
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}


@dataclass(frozen=True)
class Reader:
    """A model and the way it is read.

    Attributes:
        model: the model, out of its parallel wrapper.
        layout: how segments lie in its input.
        body: the model without its head, if the head is applied here; ``None`` if the model does it itself.
        device: where its inputs go.
    """

    model: torch.nn.Module
    layout: Layout
    body: torch.nn.Module | None
    device: torch.device

    def read(self, segments: Sequence[Segment], *, nll: bool, pools: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """Read one batch.

        Args:
            segments: ``n`` segments, none of them empty.
            nll: read the mean loss over each target.
            pools: which pooled states to read, of ``POOLS``.

        Returns:
            ``"nll"``: ``(n,)`` float64, nats per target token, NaN without target; each pool: ``(n, D)`` float32.
        """
        inputs = lay_out([np.concatenate(segment) for segment in segments], self.layout, self.device)
        where, target_ids = _targets(segments, inputs.starts) if nll else _targets([], [])
        hidden, logits = self._forward(inputs, where, needs_hidden=bool(pools))
        values: dict[str, NDArray[Any]] = {}
        if nll:
            states = logits if self.body is None else hidden
            losses = self._losses(states, where, target_ids)
            values["nll"] = _mean_by_segment(losses, [len(segment.target) for segment in segments])
        for pool in pools:
            values[pool] = _pooled(hidden, segments, inputs.starts, pool)
        return values

    def _forward(
        self, inputs: Inputs, where: torch.Tensor, *, needs_hidden: bool
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Hidden states ``(tokens, D)``, and from the model's own head the logits at ``where``."""
        if self.body is not None:
            return self.body(**inputs.kwargs).last_hidden_state.flatten(0, 1), None
        kwargs = dict(inputs.kwargs)
        keeps = self.layout is not Layout.PADDED and "logits_to_keep" in _parameters(self.model)
        if keeps:
            kwargs["logits_to_keep"] = where.to(self.device) if len(where) else 1
        output = self.model(**kwargs, output_hidden_states=needs_hidden)
        logits = output.logits.flatten(0, 1)
        if not keeps:
            logits = logits[where.to(logits.device)]
        return (output.hidden_states[-1].flatten(0, 1) if needs_hidden else None), logits

    def _losses(self, states: torch.Tensor | None, where: torch.Tensor, target_ids: torch.Tensor) -> NDArray[Any]:
        """Loss of each target token in float32, a chunk of positions at a time."""
        if states is None or not len(where):
            return np.empty(0, dtype=np.float64)
        head = None if self.body is None else _head(self.model)
        width = states.shape[-1] if head is None else head.weight.shape[0]
        chunk = max(1, _MAX_LOGIT_BYTES // (4 * int(width)))
        where, target_ids = where.to(states.device), target_ids.to(states.device)
        losses = []
        for start in range(0, len(where), chunk):
            part = slice(start, start + chunk)
            logits = states[part] if head is None else head(states[where[part]])
            losses.append(F.cross_entropy(logits.float(), target_ids[part].to(logits.device), reduction="none"))
        return torch.cat(losses).cpu().double().numpy()


@contextmanager
def reader(model: torch.nn.Module) -> Iterator[Reader]:
    """Prepare a model for reading and give it back as it was.

    Inside, the model is in evaluation mode, without gradients and without a cache; its training flags, its
    attention and ``config.use_cache`` are restored afterwards. Global random state is not touched.

    Args:
        model: a causal language model of transformers, bare or wrapped (PEFT, DDP).

    Yields:
        Reader: the model with the way it is read. A model that is no decoder or adds tokens of its own is refused.
    """
    from accelerate.utils import extract_model_from_parallel

    from hf_select.training.attention import plain_attention

    bare = extract_model_from_parallel(model, keep_torch_compile=False)
    config = _decoder_config(bare)
    modes = [(module, module.training) for module in bare.modules()]
    use_cache = getattr(config, "use_cache", None)
    try:
        bare.eval()
        with torch.inference_mode(), ExitStack() as stack:
            stack.enter_context(plain_attention(bare))  # a model that is being trained on packed batches
            if use_cache is not None:
                config.use_cache = False
            yield _best_reader(bare, stack)
    finally:
        if use_cache is not None:
            config.use_cache = use_cache
        for module, training in modes:
            module.training = training


def _decoder_config(model: torch.nn.Module) -> Any:
    from hf_select.training.attention import pretrained_model

    try:
        config = pretrained_model(model).config
    except PackingError as reason:
        raise ModelError(f"{reason} Signals of a model need a causal language model of transformers.") from None
    if config.is_encoder_decoder:
        raise ModelError(f"{type(model).__name__} is an encoder-decoder; give a causal language model.")
    require_whole(model)
    return config


def _best_reader(model: torch.nn.Module, stack: ExitStack) -> Reader:
    """The first way of reading that reproduces the plain model; the packed attention stays on while ``stack`` is."""
    from hf_select.training.attention import packed_attention
    from hf_select.training.packing_check import check_packing

    device = next(model.parameters()).device
    probe = _probe_segments(model)
    expected = _plain_losses(model, probe, device)
    for layout in Layout:
        if layout is not Layout.PADDED and "position_ids" not in _parameters(model):
            continue
        try:
            with ExitStack() as attempt:
                if layout is Layout.PACKED:
                    attempt.enter_context(packed_attention(model))
                if layout is not Layout.PADDED:
                    check_packing(model)
                for body in _bodies(model):
                    candidate = Reader(model, layout, body, device)
                    if _reproduces(candidate, probe, expected):
                        _tell(candidate)
                        stack.push(attempt.pop_all())
                        return candidate
        except (PackingError, TypeError) as reason:  # TypeError: a forward without the keyword arguments of packing
            logger.debug("%s cannot be read %s: %s", type(model).__name__, layout.value, reason)
    candidate = Reader(model, Layout.PADDED, None, device)  # right by construction, whatever its rounding
    _tell(candidate)
    return candidate


def _tell(chosen: Reader) -> None:
    name = type(chosen.model).__name__
    if chosen.layout is Layout.PADDED:
        logger.warning("%s cannot be packed; it is read in padded batches, which is slower.", name)
    if chosen.body is None:
        logger.info("%s does more to its logits than its head; its own forward pass computes them.", name)


def _probe_segments(model: torch.nn.Module) -> list[Segment]:
    n_ids = int(_embeddings(model).weight.shape[0])
    ids = np.asarray([(7919 * position + 11) % n_ids for position in range(17)], dtype=np.int32)
    return [Segment(ids[:3], ids[3:9]), Segment(ids[9:10], ids[10:])]


def _plain_losses(model: torch.nn.Module, segments: Sequence[Segment], device: torch.device) -> NDArray[Any]:
    """Mean loss of each segment when the model reads it alone and does everything itself."""
    means = []
    for segment in segments:
        ids = torch.from_numpy(np.concatenate(segment).astype(np.int64)).to(device)
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
        if len(logits) != len(ids):
            raise ModelError(
                f"{type(model).__name__} reads {len(logits)} tokens where {len(ids)} were given: it adds tokens of its "
                f"own (prompt or prefix tuning). Merge the adapter, or give a model with LoRA or without an adapter."
            )
        first = len(segment.context) - 1
        losses = F.cross_entropy(logits[first:-1].float(), ids[first + 1 :].to(logits.device), reduction="mean")
        means.append(float(losses))
    return np.asarray(means)


def _reproduces(candidate: Reader, segments: Sequence[Segment], expected: NDArray[Any]) -> bool:
    tolerance = _TOLERANCE.get(next(candidate.model.parameters()).dtype, 2e-2)
    found = candidate.read(segments, nll=True)["nll"]
    return bool(np.allclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True))


def _bodies(model: torch.nn.Module) -> list[torch.nn.Module | None]:
    """The model without its head, where it has both apart; then ``None`` for its own forward pass."""
    from hf_select.training.attention import pretrained_model

    inner = pretrained_model(model)
    body = inner.base_model
    return [None] if body is inner or _head(model) is None else [body, None]


def _head(model: torch.nn.Module) -> Any:
    from hf_select.training.attention import pretrained_model

    inner: Any = pretrained_model(model)
    return inner.get_output_embeddings()


def _embeddings(model: torch.nn.Module) -> Any:
    from hf_select.training.attention import pretrained_model

    return pretrained_model(model).get_input_embeddings()


def _parameters(model: torch.nn.Module) -> frozenset[str]:
    from hf_select.training.attention import pretrained_model

    return frozenset(inspect.signature(pretrained_model(model).forward).parameters)


def _targets(segments: Sequence[Segment], starts: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Flat positions that predict a target token, and those tokens."""
    where = [
        np.arange(len(segment.target)) + (start + len(segment.context) - 1)
        for segment, start in zip(segments, starts, strict=True)
    ]
    target_ids = [segment.target for segment in segments]
    if not where:
        return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    return torch.from_numpy(np.concatenate(where)), torch.from_numpy(np.concatenate(target_ids).astype(np.int64))


def _mean_by_segment(losses: NDArray[Any], counts: Sequence[int]) -> NDArray[Any]:
    """Mean of consecutive runs, NaN for an empty run."""
    ends = np.cumsum(counts)
    return np.asarray(
        [losses[end - n : end].mean() if n else np.nan for end, n in zip(ends, counts, strict=True)], dtype=np.float64
    )


def _pooled(hidden: torch.Tensor | None, segments: Sequence[Segment], starts: Sequence[int], pool: str) -> NDArray[Any]:
    """Mean state over part of each segment, accumulated in float32; NaN where that part is empty."""
    assert hidden is not None
    means = []
    for segment, start in zip(segments, starts, strict=True):
        border, end = start + len(segment.context), start + segment.n_tokens
        first, last = {"row": (start, end), "prompt": (start, border), "response": (border, end)}[pool]
        means.append(hidden[first:last].mean(0, dtype=torch.float32))
    return torch.stack(means).cpu().numpy()
