"""The generation pass: what the model itself answers, and how sure or how instructive that is.

    generation_agreement       prompt and rewordings -> greedy answers -> mean similarity of pairs
    sampled_gradient_length    prompt -> answers drawn at temperature 1 -> mean norm of the head's gradient

An answer has at most ``max_new_tokens`` tokens, fewer where the model's positions end.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import xxhash

from hf_select.errors import ConfigError, unknown_name
from hf_select.rows import Row
from hf_select.signals.agreement import PAIRS, agreement, get_similarity
from hf_select.signals.continuation import Prompt, continue_prompts
from hf_select.signals.encoding import encode
from hf_select.signals.engine import FirstCheck, blank_non_finite
from hf_select.signals.gradient_length import head_gradient_lengths
from hf_select.signals.identity import segments_hash
from hf_select.signals.keys import Floats, Indices, Integers, Signal, Values
from hf_select.signals.memory import Halving
from hf_select.signals.plan import Segment, TokenIds, make_plan
from hf_select.signals.reader import reader
from hf_select.signals.rewording import reword
from hf_select.signals.shards import ReadBatch, run_shards
from hf_select.signals.source import Source
from hf_select.signals.store import Arrays, Store

logger = logging.getLogger("hf_select")

_NONE = np.empty(0, dtype=np.int32)


def generation_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``generation_agreement`` and ``sampled_gradient_length``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays; NaN for a row without a prompt, or whose prompt leaves no room for an answer.

    Raises:
        ConfigError: if there are fewer than two variants, or no sample.
        UnknownNameError: if a similarity or the pairs have no such name.
        MissingExtraError: if a similarity needs a package that is not installed.
    """
    return {
        signal: _read_agreement(source, **signal.parameters)
        if signal.name.startswith("generation_agreement")
        else _read_gradient_lengths(source, **signal.parameters)
        for signal in wanted
    }


def _read_agreement(source: Source, n_variants: int, similarity: str, pairs: str) -> Floats:
    """Agreement of the greedy answers to each row's own prompt and to its rewordings, ``(N,)``."""
    if n_variants < 2:
        raise ConfigError(f"n_variants={n_variants} has no two answers to compare; give at least 2.")
    if pairs not in PAIRS:
        raise unknown_name("pairs", pairs, PAIRS)
    measure = get_similarity(similarity)
    seed = source.options.seed
    prompts = [
        _prompt_ids([_reworded(row, variant, seed) for row in source.rows], source) for variant in range(n_variants)
    ]
    room = _room(np.max([[len(ids) for ids in variant] for variant in prompts], axis=0), source)
    tokenizer = source.models.tokenizer

    def read_batch(rows: Indices) -> Arrays:
        batch = [Prompt(variant[row], int(room[row])) for row in rows for variant in prompts]
        written = continue_prompts(source.models.model, tokenizer, batch)
        texts = tokenizer.batch_decode([ids.tolist() for ids in written], skip_special_tokens=True)
        answers = [texts[start : start + n_variants] for start in range(0, len(texts), n_variants)]
        return {"agreement": np.asarray([agreement(of_row, measure, pairs) for of_row in answers])}

    store = source.model_store(
        "generation", **_identity(prompts, source), similarity=similarity, pairs=pairs, n_variants=n_variants
    )
    return _run(source, "agreement", read_batch, _lengths(prompts, room), store)


def _read_gradient_lengths(source: Source, n_samples: int) -> Floats:
    """Mean norm of the head's gradient over answers that the model draws itself, ``(N,)``."""
    if n_samples < 1:
        raise ConfigError(f"n_samples={n_samples} must be at least 1.")
    prompts = _prompt_ids(source.rows, source)
    room = _room(np.asarray([len(ids) for ids in prompts]), source)
    model, tokenizer = source.models.model, source.models.tokenizer
    check = FirstCheck(model, "generation", room > 0)

    def read_batch(rows: Indices) -> Arrays:
        batch = [
            Prompt(prompts[row], int(room[row]), (source.options.seed, _number(prompts[row]), sample))
            for row in rows
            for sample in range(n_samples)
        ]
        answers = continue_prompts(model, tokenizer, batch, temperature=1.0)
        segments = [Segment(prompt.ids, answer) for prompt, answer in zip(batch, answers, strict=True)]
        with reader(model, source.models.way) as ready:
            lengths = head_gradient_lengths(ready, segments).reshape(len(rows), n_samples).mean(axis=1)
        check(rows, {"gradient": lengths})
        return {"gradient": lengths}

    store = source.model_store("sampled-gradient", **_identity([prompts], source), n_samples=n_samples)
    values = _run(source, "gradient", read_batch, _lengths([prompts] * n_samples, room), store)
    blank_non_finite("generation", {"gradient": values}, room > 0)
    return values


def _reworded(row: Row, variant: int, seed: int) -> Row:
    """A row with its prompt, and the last turn of its conversation, in other words; variant 0 is the row itself."""
    if variant == 0:
        return row
    if not row.messages:
        return row._replace(prompt=reword(row.prompt, variant, seed))
    last = dict(row.messages[-1])
    messages = (*row.messages[:-1], last | {"content": reword(last["content"], variant, seed)})
    return row._replace(prompt="\n".join(turn["content"] for turn in messages), messages=messages)


def _prompt_ids(rows: Sequence[Row], source: Source) -> list[TokenIds]:
    """The worded prompt of each row as token ids; empty for a row that asks nothing."""
    asked = [row._replace(response="") for row in rows]
    encoded = encode(asked, source.models.tokenizer, source.template, max_length=None)
    return [ids.prompt if row.prompt else _NONE for row, ids in zip(rows, encoded.rows, strict=True)]


def _room(n_prompt_tokens: Integers, source: Source) -> Integers:
    """Tokens that the answer to each row may have; 0 where there is no prompt, or no room after it."""
    limit = source.options.max_new_tokens
    room = np.where(n_prompt_tokens > 0, limit, 0)
    if source.max_length is not None:
        room = np.minimum(room, np.maximum(source.max_length - n_prompt_tokens, 0))
    if n_blank := int((n_prompt_tokens == 0).sum()):
        logger.warning("%d of %d rows have no prompt that could be answered; they stay NaN.", n_blank, len(room))
    if n_full := int(((room == 0) & (n_prompt_tokens > 0)).sum()):
        logger.warning(
            "%d of %d prompts leave no room for an answer in max_length=%d; they stay NaN.",
            n_full, len(room), source.max_length,
        )  # fmt: skip
    return np.asarray(room, dtype=np.int64)


def _lengths(prompts: Sequence[Sequence[TokenIds]], room: Integers) -> Integers:
    """Tokens of each row's prompts and answers together; 0 for a row that is not read."""
    total = np.sum([[len(ids) for ids in variant] for variant in prompts], axis=0) + len(prompts) * room
    return np.where(room > 0, total, 0)


def _number(ids: TokenIds) -> int:
    """A number that stands for a prompt: its draws are the same wherever the row lies."""
    return int(xxhash.xxh3_64_intdigest(np.ascontiguousarray(ids, dtype=np.int32).tobytes()))


def _identity(prompts: Sequence[Sequence[TokenIds]], source: Source) -> dict[str, Any]:
    """What the answers depend on besides model, tokenizer and template."""
    segments = [Segment(ids, _NONE) for variant in prompts for ids in variant]
    return {
        "prompts": segments_hash(segments),
        "max_new_tokens": source.options.max_new_tokens,
        "seed": source.options.seed,
    }


def _run(source: Source, name: str, read_batch: ReadBatch, lengths: Integers, store: Store | None) -> Floats:
    """The array of that name over all rows; NaN for those of length 0."""
    if not lengths.any():
        return np.full(len(lengths), np.nan)
    plan = make_plan(lengths, source.options.max_tokens_per_batch, padded=True)
    halving = Halving(read_batch, lengths)
    values = run_shards("generation", plan, halving.read, len(lengths), store=store, progress=source.options.progress)
    return values[name]
