"""What a model writes after prompts: one left-padded batch, greedily or drawn, as token ids.

A continuation depends on the model, its prompt and its seed alone (but for the rounding of a batched forward pass):
each row draws from a generator of its own and stops at its own limit. Global random state is neither read nor written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from hf_select.signals.plan import TokenIds
from hf_select.signals.reader import bare_model, inner_model

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase


class Prompt(NamedTuple):
    """What is to be continued.

    Attributes:
        ids: its tokens, at least one.
        max_new_tokens: tokens of the continuation at most, at least 1.
        seed: what its draws depend on; not looked at in greedy decoding.
    """

    ids: TokenIds
    max_new_tokens: int
    seed: tuple[int, ...] = ()


def continue_prompts(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], *, temperature: float = 0.0
) -> list[TokenIds]:
    """Continue each prompt of one batch.

    Args:
        model: a causal language model, bare or wrapped (PEFT, DDP); its state is restored.
        tokenizer: its tokenizer; ids beyond it (padding of the vocabulary) are never written.
        prompts: ``n`` prompts.
        temperature: 0 takes the most likely token, 1 draws from the model's own distribution.

    Returns:
        ``n`` continuations of at least one token; the token that ended one is its last.
    """
    from transformers import LogitsProcessorList, StoppingCriteriaList

    from hf_select.evaluation.sampling import RowSampler, RowStop

    bare = bare_model(model)
    config = _plain_config(bare, tokenizer, max(prompt.max_new_tokens for prompt in prompts))
    width = max(len(prompt.ids) for prompt in prompts)
    ids = np.full((len(prompts), width), config.pad_token_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt.ids) :] = prompt.ids
        mask[row, width - len(prompt.ids) :] = 1
    sampler = RowSampler([prompt.seed for prompt in prompts], temperature, top_p=1.0, n_tokens=len(tokenizer))
    stop = RowStop(tokenizer, width, [prompt.max_new_tokens for prompt in prompts], stop=())
    device = next(bare.parameters()).device
    with _ready_to_write(bare) as writer:
        output = writer.generate(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            generation_config=config,
            logits_processor=LogitsProcessorList([sampler]),
            stopping_criteria=StoppingCriteriaList([stop]),
            synced_gpus=False,  # the weights are whole, and processes have batches of their own
        )
    written = output[:, width:].cpu().numpy().astype(np.int32)
    ends = np.atleast_1d(np.asarray([] if config.eos_token_id is None else config.eos_token_id, dtype=np.int32))
    return [_up_to_end(row[: prompt.max_new_tokens], ends) for row, prompt in zip(written, prompts, strict=True)]


def _up_to_end(ids: TokenIds, ends: TokenIds) -> TokenIds:
    """The tokens up to the first one that ends a text, that one included."""
    found = np.flatnonzero(np.isin(ids, ends))
    return ids[: found[0] + 1] if len(found) else ids


def _plain_config(model: Any, tokenizer: PreTrainedTokenizerBase, max_new_tokens: int) -> GenerationConfig:
    """Plain decoding: of the model's own configuration only the ends of text count, not its penalties or filters."""
    from transformers import GenerationConfig

    own = inner_model(model).generation_config
    eos = own.eos_token_id if own is not None and own.eos_token_id is not None else tokenizer.eos_token_id
    first_eos = eos[0] if isinstance(eos, list) else eos
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        eos_token_id=eos,
        pad_token_id=next((one for one in (tokenizer.pad_token_id, first_eos) if one is not None), 0),
    )


@contextmanager
def _ready_to_write(model: torch.nn.Module) -> Iterator[Any]:
    """Evaluation mode and an attention that takes a cache inside; everything as it was after."""
    from hf_select.training.attention import plain_attention

    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.inference_mode(), plain_attention(model):
            yield model
    finally:
        for module, training in modes:
            module.training = training
