"""The model passes: the response after its prompt, and the response alone.

The forward pass also pools hidden states, and it reads the statistics of the response's tokens off the distributions
that the loss needs: neither an embedding made of the model's own states nor its uncertainty costs a pass of its own.
Each pass has its own plan of batches; no value depends on which other signals were asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ConfigError
from hf_select.signals.engine import Request, run_model
from hf_select.signals.identity import segments_hash
from hf_select.signals.keys import (
    EMBEDDING,
    GRADIENT_SKETCH,
    HIDDEN_STATE,
    MAX_TOKEN_ENTROPY,
    MIN_TOKEN_MARGIN,
    RESPONSE_NLL,
    RESPONSE_TOKENS,
    TOKEN_ENTROPY,
    TOKEN_MARGIN,
    TOP_TOKEN_NLL,
    WEIGHTED_STATE,
    Signal,
    Values,
)
from hf_select.signals.source import Source
from hf_select.signals.store import Arrays

_STATISTICS: dict[Signal[Any], str] = {
    TOKEN_ENTROPY: "mean_entropy",
    MAX_TOKEN_ENTROPY: "max_entropy",
    TOP_TOKEN_NLL: "top_nll",
    TOKEN_MARGIN: "mean_margin",
    MIN_TOKEN_MARGIN: "min_margin",
    GRADIENT_SKETCH: "gradient_sketch",
}


def forward_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read losses, token statistics and pooled states of each response after its prompt, in one run of the model.

    Args:
        wanted: signals of ``Pass.FORWARD``, and ``EMBEDDING`` for the model's own.
        source: rows, model and tokenizer.

    Returns:
        Their arrays; NaN where a row has no response token that can be scored, or nothing to embed.
    """
    values: Values = {}
    if RESPONSE_TOKENS in wanted:
        values[RESPONSE_TOKENS] = source.encoded.n_scored
    pool_of = {HIDDEN_STATE: "row", WEIGHTED_STATE: "weighted", EMBEDDING: _pool(source)}
    pools = {signal: pool for signal, pool in pool_of.items() if signal in wanted}
    statistics = {signal: name for signal, name in _STATISTICS.items() if signal in wanted}
    needs_nll = RESPONSE_NLL in wanted
    if not (needs_nll or statistics or pools):
        return values
    request = Request(
        "forward",
        source.encoded.conditional(),
        nll=needs_nll,
        pools=tuple(sorted(set(pools.values()))),
        statistics=tuple(statistics.values()),
        n_ids=len(source.models.tokenizer),
    )
    found = _run(source, request)
    if needs_nll:
        values[RESPONSE_NLL] = found["nll"]
    values |= {signal: found[name] for signal, name in statistics.items()}
    for signal, pool in pools.items():
        values[signal] = unit_rows(found[pool]) if signal is EMBEDDING else found[pool]
    return values


def answer_alone_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read the loss of each response without its prompt, over the same tokens as ``RESPONSE_NLL``.

    Args:
        wanted: signals of ``answer_alone_nll``; each prefix is a pass.
        source: rows, model and tokenizer.

    Returns:
        Their arrays; NaN where a row has no response token that can be scored.

    Raises:
        ConfigError: if a prefix is so long that a row no longer fits into the model.
    """
    values: Values = {}
    for signal in wanted:
        prefix = None
        if signal.option:
            prefix = np.asarray(source.models.tokenizer.encode(signal.option), dtype=np.int32)
            if (
                getattr(source.models.tokenizer, "add_eos_token", False)
                and prefix[-1] == source.models.tokenizer.eos_token_id
            ):
                prefix = prefix[:-1]
        segments = source.encoded.alone(prefix)
        longest = max(segment.n_tokens for segment in segments)
        n_positions = source.models.n_positions
        if n_positions is not None and longest > n_positions:
            raise ConfigError(
                f"The prefix {signal.option!r} is longer than a prompt: {longest} tokens with its response, and the "
                f"model has {n_positions} positions. Lower max_length by {longest - n_positions}."
            )
        values[signal] = _run(source, Request("answer-alone", segments))["nll"]
    return values


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Vectors scaled to length 1; a zero vector has no direction and becomes NaN.

    Args:
        vectors: ``(N, D)``.

    Returns:
        ``(N, D)`` float32.
    """
    exact = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    return (exact / np.where(norms > 0, norms, np.nan)).astype(np.float32)


def _pool(source: Source) -> str:
    return "row" if source.embed == "both" else source.embed


def _run(source: Source, request: Request) -> Arrays:
    store = source.model_store(
        request.name,
        segments=segments_hash(request.segments),
        nll=request.nll,
        pools=list(request.pools),
        statistics=list(request.statistics),
    )
    return run_model(
        source.models.model,
        request,
        way=source.models.way,
        max_tokens_per_batch=source.options.max_tokens_per_batch,
        store=store,
        progress=source.options.progress,
    )
