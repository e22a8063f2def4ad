"""One forward pass over a batch of segments: losses where they are asked for, hidden states pooled, and nothing else.

Which of the several ways a model is read in, ``way`` finds out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hf_select.errors import ModelError, PackingError
from hf_select.signals.identity import require_whole
from hf_select.signals.layout import Inputs, Layout, lay_out
from hf_select.signals.plan import Segment

POOLS = ("row", "prompt", "response")
"""Which tokens of a segment a pooled state is the mean of: all, the context, the target."""

_MAX_LOGIT_BYTES = 128 * 2**20  # float32 logits that exist at once
_MAX_CPU_POSITIONS = 512  # positions whose logits exist at once on a CPU: twice as fast while they stay in its cache


class Way(NamedTuple):
    """How a model is read.

    Attributes:
        layout: how segments lie in its input.
        applies_head: whether the head is applied by the reader, only where a loss is read, or by the model itself.
    """

    layout: Layout
    applies_head: bool


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
        keeps = self.layout is not Layout.PADDED and "logits_to_keep" in forward_parameters(self.model)
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
        head = None if self.body is None else inner_model(self.model).get_output_embeddings()
        width = states.shape[-1] if head is None else head.weight.shape[0]
        chunk = max(1, _MAX_LOGIT_BYTES // (4 * int(width)))
        if states.device.type == "cpu":
            chunk = min(chunk, _MAX_CPU_POSITIONS)
        where, target_ids = where.to(states.device), target_ids.to(states.device)
        losses = []
        for start in range(0, len(where), chunk):
            part = slice(start, start + chunk)
            logits = states[part] if head is None else head(states[where[part]])
            losses.append(F.cross_entropy(logits.float(), target_ids[part].to(logits.device), reduction="none"))
        return torch.cat(losses).cpu().double().numpy()


@contextmanager
def reader(model: torch.nn.Module, way: Way) -> Iterator[Reader]:
    """Prepare a model for reading and give it back as it was.

    Inside, the model is in evaluation mode, without gradients and without a cache; its training flags, its
    attention and ``config.use_cache`` are restored afterwards. Global random state is not touched.

    Args:
        model: a causal language model of transformers, bare or wrapped (PEFT, DDP).
        way: how to read it, from ``find_way(model)``.

    Yields:
        Reader: the model, ready to be read.
    """
    from hf_select.training.attention import packed_attention, plain_attention

    bare = bare_model(model)
    config: Any = inner_model(bare).config
    modes = [(module, module.training) for module in bare.modules()]
    use_cache = getattr(config, "use_cache", None)
    try:
        bare.eval()
        with torch.inference_mode(), plain_attention(bare), ExitStack() as stack:
            if way.layout is Layout.PACKED:
                stack.enter_context(packed_attention(bare))
            if use_cache is not None:
                config.use_cache = False
            body = inner_model(bare).base_model if way.applies_head else None
            yield Reader(bare, way.layout, body, next(bare.parameters()).device)
    finally:
        if use_cache is not None:
            config.use_cache = use_cache
        for module, training in modes:
            module.training = training


def bare_model(model: torch.nn.Module) -> torch.nn.Module:
    """The model out of its parallel wrapper, checked to be one that can be read.

    Args:
        model: what was given.

    Returns:
        The model, possibly with adapters.

    Raises:
        ModelError: if it is no decoder of transformers.
    """
    from accelerate.utils import extract_model_from_parallel

    bare: torch.nn.Module = extract_model_from_parallel(model, keep_torch_compile=False)
    try:
        config = inner_model(bare).config
    except PackingError as reason:
        raise ModelError(f"{reason} Signals of a model need a causal language model of transformers.") from None
    if config.is_encoder_decoder:
        raise ModelError(f"{type(model).__name__} is an encoder-decoder; give a causal language model.")
    require_whole(bare)
    return bare


def inner_model(model: torch.nn.Module) -> Any:
    """The model of transformers inside its adapters."""
    from hf_select.training.attention import pretrained_model

    return pretrained_model(model)


def forward_parameters(model: torch.nn.Module) -> frozenset[str]:
    """Names of the arguments of the model's own forward pass."""
    return frozenset(inspect.signature(inner_model(model).forward).parameters)


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
