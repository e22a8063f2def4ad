"""A tokenizer and a small Llama, both made from nothing: no download, trained in about a minute on two cores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hf_select.errors import ModelError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

_SPECIAL_TOKENS = ("<pad>", "<eos>")


def train_tokenizer(texts: Iterable[str], vocab_size: int = 512) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer: any text comes back unchanged, every digit is a token of its own.

    Args:
        texts: what to learn merges from, for example prompt + completion of all rows.
        vocab_size: entries, the 256 bytes and 2 special tokens included.

    Returns:
        The tokenizer, with a padding token, an end token and no token at the beginning; pads on the left, as
        generation needs.

    Raises:
        ModelError: if ``vocab_size`` does not hold the bytes and the special tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    n_least = len(alphabet) + len(_SPECIAL_TOKENS)
    if vocab_size < n_least:
        raise ModelError(f"vocab_size={vocab_size} does not hold the {n_least} bytes and special tokens; give more.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(_SPECIAL_TOKENS),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    pad, eos = _SPECIAL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        eos_token=eos,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def build_model(
    tokenizer: PreTrainedTokenizerFast,
    seed: int = 0,
    *,
    hidden: int = 128,
    layers: int = 2,
    heads: int = 4,
    max_length: int = 512,
    init_std: float = 0.06,
    **config: Any,
) -> LlamaForCausalLM:
    """Build a Llama with random weights and tied embeddings, on the CPU.

    Args:
        tokenizer: gives the vocabulary and the special tokens.
        seed: seeds the initial weights; the global random state is left as it was found.
        hidden: width; the MLP is three times as wide.
        layers: number of layers.
        heads: attention heads, a divisor of ``hidden``.
        max_length: longest position.
        init_std: standard deviation of the initial weights; 0.06 suits this width, the usual 0.02 learns slower.
        **config: further fields of ``LlamaConfig``.

    Returns:
        The model in float32, with ``generation_config`` set to stop at the end token.

    Raises:
        ModelError: if ``heads`` does not divide ``hidden``.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if hidden % heads:
        raise ModelError(f"heads={heads} does not divide hidden={hidden}; give a divisor.")
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": max_length,
        "tie_word_embeddings": True,
        "initializer_range": init_std,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        **config,
    }
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators too
        return LlamaForCausalLM(LlamaConfig(**settings))
