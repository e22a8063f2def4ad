"""One forward pass over a batch of segments: predictions where they are asked for, hidden states pooled, nothing else.

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
from numpy.typing import NDArray

from hf_select.errors import ModelError, PackingError
from hf_select.signals.identity import require_whole
from hf_select.signals.last_layer import last_blocks, read_only_at
from hf_select.signals.layout import Inputs, Layout, lay_out
from hf_select.signals.plan import Segment
from hf_select.signals.predictions import Predictions, target_positions
from hf_select.signals.statistic import STATISTICS, summarise

POOLS = ("row", "prompt", "response", "weighted")
"""Which tokens of a segment a pooled state is the mean of: all, the context, the target, all weighted by 1..T."""


class Way(NamedTuple):
    """How a model is read.

    Attributes:
        layout: how segments lie in its input.
        applies_head: whether the head is applied by the reader, only where a loss is read, or by the model itself.
        spares_last: whether what can be left out of the last layer is left out, where only losses are read.
    """

    layout: Layout
    applies_head: bool
    spares_last: bool = False


@dataclass(frozen=True)
class Reader:
    """A model and the way it is read.

    Attributes:
        model: the model, out of its parallel wrapper.
        layout: how segments lie in its input.
        body: the model without its head, if the head is applied here; ``None`` if the model does it itself.
        device: where its inputs go.
        spared: blocks that run only where a loss is read, while no state is asked for.
    """

    model: torch.nn.Module
    layout: Layout
    body: torch.nn.Module | None
    device: torch.device
    spared: Sequence[torch.nn.Module] = ()

    def read(
        self,
        segments: Sequence[Segment],
        *,
        nll: bool,
        statistics: Sequence[str] = (),
        pools: Sequence[str] = (),
        n_ids: int | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Read one batch.

        Args:
            segments: ``n`` segments, none of them empty.
            nll: read the mean loss over each target.
            statistics: which other statistics of each target to read, of ``STATISTICS``.
            pools: which pooled states to read, of ``POOLS``.
            n_ids: ids that the tokenizer knows; those beyond are never taken for the most likely token.

        Returns:
            ``"nll"``: ``(n,)`` float64, nats per target token; each statistic ``(n,)`` float64 or ``(n, D)`` float32,
            NaN without target; each pool: ``(n, D)`` float32.
        """
        names = (*(("nll",) if nll else ()), *statistics)
        needs_states = any(STATISTICS[name].needs_states for name in names)
        inputs = lay_out([np.concatenate(segment) for segment in segments], self.layout, self.device)
        scored = segments if names else []
        predictions, hidden = self._forward(inputs, scored, n_ids, needs_states=needs_states or bool(pools))
        values = summarise(predictions, names) if names else {}
        for pool in pools:
            values[pool] = _pooled(hidden, segments, inputs.starts, pool)
        return values

    def predict(
        self, segments: Sequence[Segment], *, needs_states: bool = False, n_ids: int | None = None
    ) -> Predictions:
        """The predictions of one batch, for what needs whole distributions.

        Args:
            segments: ``n`` segments, none of them empty.
            needs_states: keep what the head is given as well, if the model applies it itself.
            n_ids: as in ``read``.

        Returns:
            The predictions at the targets.
        """
        inputs = lay_out([np.concatenate(segment) for segment in segments], self.layout, self.device)
        return self._forward(inputs, segments, n_ids, needs_states=needs_states)[0]

    def predict_laid_out(self, inputs: Inputs, segments: Sequence[Segment]) -> Predictions:
        """The predictions of segments that lie in the model's input already.

        Args:
            inputs: what the model is given.
            segments: ``n`` segments.

        Returns:
            The predictions at the targets.
        """
        return self._forward(inputs, segments, None, needs_states=False)[0]

    def _forward(
        self, inputs: Inputs, segments: Sequence[Segment], n_ids: int | None, *, needs_states: bool
    ) -> tuple[Predictions, torch.Tensor | None]:
        """Predictions at the targets of some segments, and all hidden states ``(tokens, D)`` where there are any."""
        where, target_ids = target_positions(segments, inputs.starts[: len(segments)])
        counts = [len(segment.target) for segment in segments]
        if self.body is not None:
            with read_only_at(where, inputs.kwargs["input_ids"].shape, () if needs_states else self.spared):
                hidden = self.body(**inputs.kwargs).last_hidden_state.flatten(0, 1)
            given = hidden[where.to(hidden.device)]
            head = inner_model(self.model).get_output_embeddings()
            target_ids = target_ids.to(given.device)
            return Predictions(given, head, len(head.weight), target_ids, counts, given, n_ids), hidden
        kwargs = dict(inputs.kwargs)
        keeps = self.layout is not Layout.PADDED and "logits_to_keep" in forward_parameters(self.model)
        if keeps:
            kwargs["logits_to_keep"] = where.to(self.device) if len(where) else 1
        output = self.model(**kwargs, output_hidden_states=needs_states)
        logits = output.logits.flatten(0, 1)
        if not keeps:
            logits = logits[where.to(logits.device)]
        hidden = output.hidden_states[-1].flatten(0, 1) if needs_states else None
        states = None if hidden is None else hidden[where.to(hidden.device)]
        target_ids = target_ids.to(logits.device)
        return Predictions(logits, None, logits.shape[-1], target_ids, counts, states, n_ids), hidden


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
            spared = last_blocks(body) if body is not None and way.spares_last else []
            yield Reader(bare, way.layout, body, next(bare.parameters()).device, spared)
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


def _pooled(hidden: torch.Tensor | None, segments: Sequence[Segment], starts: Sequence[int], pool: str) -> NDArray[Any]:
    """Mean state over part of each segment, accumulated in float32; NaN where that part is empty."""
    assert hidden is not None
    means = []
    for segment, start in zip(segments, starts, strict=True):
        border, end = start + len(segment.context), start + segment.n_tokens
        if pool == "weighted":
            weights = torch.arange(1, segment.n_tokens + 1, dtype=torch.float32, device=hidden.device)
            means.append((weights / weights.sum()) @ hidden[start:end].float())
            continue
        first, last = {"row": (start, end), "prompt": (start, border), "response": (border, end)}[pool]
        means.append(hidden[first:last].mean(0, dtype=torch.float32))
    return torch.stack(means).cpu().numpy()
