"""Completions of prompts: batched, greedy or sampled, stopped at strings, and the model left as it was found.

A sample depends on the model, its prompt, its number and the seed alone: every row of a batch draws from a generator of
its own, so that neither the size of the batch, nor the other prompts, nor the number of processes changes what is drawn
(but for the rounding of a batched forward pass). The global random state is neither read nor written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from tqdm import tqdm

from hf_select.errors import ConfigError, ModelError
from hf_select.evaluation.sampling import RowSampler, RowStop
from hf_select.evaluation.sanitize import cut

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase


class _Request(NamedTuple):
    """One completion to generate."""

    prompt: int
    sample: int
    ids: list[int]


class _Decoding(NamedTuple):
    """Everything about a run but its prompts."""

    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 512,
    n_samples: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: Sequence[str] = (),
    batch_size: int = 32,
    add_special_tokens: bool = True,
    accelerator: Accelerator | None = None,
    progress: bool = True,
) -> list[list[str]]:
    """Complete every prompt.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer; ids beyond it (padding of the vocabulary) are never drawn.
        prompts: (P,) texts.
        max_new_tokens: tokens of a completion at most; fewer where the model's positions end.
        n_samples: completions of each prompt.
        temperature: 0 decodes greedily.
        top_p: draw from the smallest set of tokens with this probability.
        seed: of the sampling.
        stop: strings at which a completion ends; the text before the first of them is returned.
        batch_size: completions at a time; halved when memory runs out.
        add_special_tokens: let the tokenizer add its own; not for prompts that contain them (chat templates).
        accelerator: with several processes, each completes a share of the batches and all return everything.
        progress: show a progress bar.

    Returns:
        (P,) lists of ``n_samples`` completions.
    """
    _require_sense(n_samples, batch_size, max_new_tokens, temperature, top_p)
    if accelerator is not None:
        model = accelerator.unwrap_model(model)
    decoding = _Decoding(max_new_tokens, temperature, top_p, seed, tuple(stop))
    encoded = _encode(tokenizer, prompts, add_special_tokens)
    requests = [_Request(index, sample, ids) for index, ids in enumerate(encoded) for sample in range(n_samples)]
    requests = _with_room(requests, model)
    # One plan for all processes, longest first: the batches, and so the rounding, do not depend on how many there are.
    requests.sort(key=lambda request: (-len(request.ids), request.prompt, request.sample))
    batches = [requests[start : start + batch_size] for start in range(0, len(requests), batch_size)]
    rank, n_processes = (accelerator.process_index, accelerator.num_processes) if accelerator is not None else (0, 1)
    batches = batches[rank::n_processes]
    completed: dict[tuple[int, int], str] = {}
    n_own, hidden = sum(map(len, batches)), not progress or rank > 0
    with _as_found(model), tqdm(total=n_own, desc="Generating", unit="completion", disable=hidden) as bar:
        for batch in batches:
            for request, text in _complete(model, tokenizer, batch, decoding):
                completed[request.prompt, request.sample] = text
                bar.update()
    if n_processes > 1:
        from accelerate.utils import gather_object

        completed = dict(gather_object(list(completed.items())))
    return [[completed.get((prompt, sample), "") for sample in range(n_samples)] for prompt in range(len(prompts))]


def _require_sense(n_samples: int, batch_size: int, max_new_tokens: int, temperature: float, top_p: float) -> None:
    if n_samples < 1 or batch_size < 1 or max_new_tokens < 1 or temperature < 0 or not 0 < top_p <= 1:
        raise ConfigError(
            f"n_samples={n_samples}, batch_size={batch_size}, max_new_tokens={max_new_tokens} must be at least 1, "
            f"temperature={temperature} at least 0 and top_p={top_p} in (0, 1]."
        )
    if n_samples > 1 and temperature == 0:
        raise ConfigError(f"n_samples={n_samples} greedy completions would all be equal; give a temperature above 0.")


def _encode(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], add_special_tokens: bool) -> list[list[int]]:
    if not prompts:
        return []
    encoded: list[list[int]] = tokenizer(list(prompts), add_special_tokens=add_special_tokens)["input_ids"]
    for number, ids in enumerate(encoded):
        if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id and add_special_tokens:
            ids.pop()  # a tokenizer that ends every text would have the model begin another one
        if not ids:
            raise ModelError(
                f"Prompt {number} has no token, and this tokenizer adds none; a model cannot continue nothing. "
                "Give every prompt some text."
            )
    return encoded


def _max_positions(model: PreTrainedModel) -> int | None:
    config = model.config.get_text_config()
    return getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)


def _with_room(requests: list[_Request], model: PreTrainedModel) -> list[_Request]:
    """Leave out prompts that fill all positions of the model; their completion is empty."""
    positions = _max_positions(model)
    if positions is None:
        return requests
    fitting = [request for request in requests if len(request.ids) < positions]
    if len(fitting) < len(requests):
        prompts = sorted({request.prompt for request in requests} - {request.prompt for request in fitting})
        warnings.warn(
            f"{len(prompts)} prompts (first: {prompts[0]}) fill all {positions} positions of the model; their "
            "completions are empty.",
            stacklevel=3,
        )
    return fitting


def _complete(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: list[_Request], decoding: _Decoding
) -> Iterator[tuple[_Request, str]]:
    """Complete a batch, in halves where it does not fit into memory."""
    from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

    waiting = [batch]
    while waiting:
        part = waiting.pop(0)
        try:
            texts = _complete_at_once(model, tokenizer, part, decoding)
        except RuntimeError as error:
            if len(part) == 1 or not should_reduce_batch_size(error):
                raise
            half = (len(part) + 1) // 2
            waiting = [part[:half], part[half:], *waiting]
            clear_device_cache()
            continue
        yield from zip(part, texts, strict=True)


def _complete_at_once(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: list[_Request], decoding: _Decoding
) -> list[str]:
    from transformers import LogitsProcessorList, StoppingCriteriaList

    config = _generation_config(model, tokenizer, decoding)
    width = max(len(request.ids) for request in batch)
    ids = torch.full((len(batch), width), cast("int", config.pad_token_id), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, request in enumerate(batch):
        ids[row, width - len(request.ids) :] = torch.tensor(request.ids)
        mask[row, width - len(request.ids) :] = 1
    positions = _max_positions(model) or width + decoding.max_new_tokens
    room = [min(decoding.max_new_tokens, positions - len(request.ids)) for request in batch]
    sampler = RowSampler(
        seeds=[(decoding.seed, request.prompt, request.sample) for request in batch],
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        n_tokens=len(tokenizer),
    )
    stopping = RowStop(tokenizer, width, room, decoding.stop)
    output = cast("Any", model).generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=config,
        logits_processor=LogitsProcessorList([sampler]),
        stopping_criteria=StoppingCriteriaList([stopping]),
        synced_gpus=False,  # the weights are whole, and processes have batches of their own
    )
    new = cast("torch.Tensor", output)[:, width:].tolist()
    kept = [tokens[:n] for tokens, n in zip(new, room, strict=True)]
    return [cut(text, decoding.stop) for text in tokenizer.batch_decode(kept, skip_special_tokens=True)]


def _generation_config(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, decoding: _Decoding
) -> GenerationConfig:
    """Plain decoding: only the ends of text are taken from the model's own configuration.

    Its temperature, penalties and the like are overridden by the values that ``transformers`` takes for unset; what is
    drawn is up to ``RowSampler``.
    """
    from transformers import GenerationConfig

    own = model.generation_config
    eos = own.eos_token_id if own is not None and own.eos_token_id is not None else tokenizer.eos_token_id
    first_eos = eos[0] if isinstance(eos, list) else eos
    pad = next((one for one in (tokenizer.pad_token_id, first_eos) if one is not None), 0)
    return GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        eos_token_id=eos,
        pad_token_id=pad,
    )


@contextmanager
def _as_found(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode inside; every module back in its own mode after."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
