"""The model of a study: from scratch or continued, with its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hf_select.errors import ConfigError, ModelError
from hf_select.experiment.arguments import DEMO
from hf_select.experiment.model import load_model, load_tokenizer
from hf_select.experiment.pool import Pool
from hf_select.study.arguments import StudyModelArguments
from hf_select.study.pool import Corpus

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_MIN_POSITIONS = 2048  # prompts of a benchmark are longer than rows
_MAX_CHARACTERS = 3_000_000  # more text teaches a small tokenizer nothing


def check_model(model: StudyModelArguments) -> None:
    """Refuse what one step of the optimiser cannot be computed for.

    Args:
        model: the arguments.

    Raises:
        ConfigError: if adapters or weights of half precision are asked for, or a configuration for a model that has
            its own.
    """
    if model.use_peft:
        raise ConfigError("use_peft: a study trains all weights, from one checkpoint to the next; leave it out.")
    if model.dtype != "float32":
        raise ConfigError(
            f"dtype={model.dtype!r}: what one step changes is lost in half precision. Keep float32 weights, and train "
            f"with --bf16."
        )
    if model.model_name_or_path != DEMO and (model.config_name or model.config_overrides):
        raise ConfigError(
            f"config_name and config_overrides are for a model from scratch (model_name_or_path=demo); "
            f"{model.model_name_or_path!r} has its own."
        )
    overrides_of(model)


def overrides_of(model: StudyModelArguments) -> dict[str, Any]:
    """The changes to a configuration, as values.

    Args:
        model: the arguments.

    Returns:
        The changes by field.

    Raises:
        ConfigError: if they are not of the form ``name=value``.
    """
    import yaml

    pairs = [word.partition("=") for word in (model.config_overrides or "").split(",") if word.strip()]
    if wrong := [name for name, _, value in pairs if not name.strip() or not value.strip()]:
        raise ConfigError(f"config_overrides: {wrong[0]!r} has no value; write 'hidden_size=256,num_hidden_layers=4'.")
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


def load_study_tokenizer(model: StudyModelArguments, corpus: Corpus) -> PreTrainedTokenizerBase:
    """The model's tokenizer; for a model from scratch without one, a tokenizer trained on the corpus.

    Args:
        model: names it.
        corpus: its texts.

    Returns:
        The tokenizer, with a padding token.
    """
    if (model.tokenizer_name or model.model_name_or_path) != DEMO:
        from datasets import Dataset

        return load_tokenizer(model, Pool(DEMO, Dataset.from_dict({"text": []}), None, {}, {}))
    from hf_select.demo.model import train_tokenizer

    texts, n_left = [], _MAX_CHARACTERS
    for text in corpus.texts:
        texts.append(text)
        n_left -= len(text)
        if n_left <= 0:
            break
    return train_tokenizer(texts, model.vocab_size)


def make_model(
    model: StudyModelArguments, tokenizer: PreTrainedTokenizerBase, *, seed: int, max_length: int
) -> PreTrainedModel:
    """The model before the base run.

    Args:
        model: names it, or describes it.
        tokenizer: its tokenizer.
        seed: draws the weights of a model from scratch.
        max_length: longest row in tokens.

    Returns:
        The model, on the CPU.

    Raises:
        ModelError: if it has fewer positions than a row has tokens.
    """
    if model.model_name_or_path != DEMO:
        loaded = load_model(model, tokenizer, seed=seed)
    else:
        loaded = _from_scratch(model, tokenizer, seed, max_length)
    n_positions = getattr(loaded.config, "max_position_embeddings", None)
    if n_positions is not None and n_positions < max_length:
        raise ModelError(f"The model reads {n_positions} tokens and max_length={max_length}; give a lower max_length.")
    return loaded


def _from_scratch(
    model: StudyModelArguments, tokenizer: PreTrainedTokenizerBase, seed: int, max_length: int
) -> PreTrainedModel:
    overrides = overrides_of(model)
    if model.config_name is None:
        from hf_select.demo.model import build_model

        overrides = {"max_length": max(_MIN_POSITIONS, max_length), **overrides}
        return build_model(tokenizer, seed, **overrides)  # type: ignore[arg-type]
    return _of_configuration(model.config_name, {"vocab_size": len(tokenizer), **overrides}, seed)


def _of_configuration(name: str, overrides: Mapping[str, Any], seed: int) -> PreTrainedModel:
    """A model of a published architecture with weights drawn from a seed."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"No configuration can be loaded from {name!r}: {error} Give a Hub id or a folder.") from error
    if unknown := [field for field in overrides if not hasattr(config, field)]:
        raise ConfigError(f"config_overrides: {type(config).__name__} has no field {unknown[0]!r}.")
    for field, value in overrides.items():
        setattr(config, field, value)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-any-return]
