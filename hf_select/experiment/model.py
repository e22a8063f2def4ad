"""The model of a run: loaded or built from scratch, with its tokenizer and, if asked for, LoRA adapters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hf_select.errors import ConfigError, ModelError
from hf_select.experiment.arguments import DEMO, ModelArguments
from hf_select.experiment.pool import Pool
from hf_select.pretrained import loading

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

PACKED = "packed"


def load_tokenizer(model: ModelArguments, pool: Pool) -> PreTrainedTokenizerBase:
    """Load the tokenizer, or train one on the pool for a model from scratch.

    Args:
        model: names it.
        pool: its texts train the tokenizer of the demo model.

    Returns:
        The tokenizer, with a padding token.

    Raises:
        ModelError: if it has neither a padding nor an end-of-sequence token.
    """
    from transformers import AutoTokenizer

    name = model.tokenizer_name or model.model_name_or_path
    if name == DEMO:
        from hf_select.demo.model import train_tokenizer

        rows = pool.row_format.read(pool.dataset)
        return train_tokenizer(row.prompt + row.response for row in rows)
    try:
        revision = None if model.tokenizer_name else model.model_revision
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"No tokenizer can be loaded from {name!r}: {error} Give a Hub id or a folder.") from error
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ModelError(
                f"The tokenizer {name!r} has neither a padding nor an end-of-sequence token; set one and save it."
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def n_parameters(name: str) -> int:
    """Parameters of a model, counted on a copy without weights; the demo's are known to be few.

    Args:
        name: Hub id or folder.

    Returns:
        The number.

    Raises:
        ModelError: if there is no such model.
    """
    if name == DEMO:
        return 1_000_000
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"No model can be loaded from {name!r}: {error} Give a Hub id or a folder.") from error
    with torch.device("meta"):
        return int(AutoModelForCausalLM.from_config(config).num_parameters())


def load_model(model: ModelArguments, tokenizer: PreTrainedTokenizerBase, *, seed: int) -> PreTrainedModel:
    """Load the model to be trained.

    Args:
        model: names it.
        tokenizer: its tokenizer.
        seed: initial weights of the demo model.

    Returns:
        The model; with LoRA adapters if ``use_peft``.

    Raises:
        ModelError: if the tokenizer has more ids than the model embeds.
    """
    loaded: Any = _load_base(model, tokenizer, seed)
    n_embedded = loaded.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > n_embedded:
        raise ModelError(
            f"The tokenizer has {len(tokenizer)} ids and the model embeds {n_embedded}; use the model's own tokenizer, "
            f"or resize the embeddings and save the model."
        )
    return _with_adapters(loaded, model) if model.use_peft else loaded


def load_scorer(name: str, model: ModelArguments) -> PreTrainedModel:
    """Load the model that scores the rows, if it is another one than the model to be trained."""
    return _from_pretrained(name, model)


def load_trained(
    folder: Path, model: ModelArguments, tokenizer: PreTrainedTokenizerBase, *, seed: int
) -> PreTrainedModel:
    """Load what a training stage saved; adapters are merged into their base.

    Args:
        folder: where it was saved.
        model: names the base of adapters.
        tokenizer: the tokenizer it was trained with.
        seed: the seed it was trained with.

    Returns:
        The model in evaluation mode, on this process's device.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if model.use_peft:
        from peft import PeftModel

        adapted: Any = PeftModel.from_pretrained(_load_base(model, tokenizer, seed), str(folder))
        loaded: Any = adapted.merge_and_unload()
    else:
        loaded = AutoModelForCausalLM.from_pretrained(str(folder), dtype="auto", trust_remote_code=False)
    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    return cast("PreTrainedModel", loaded.to(device).eval())


def _load_base(model: ModelArguments, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """The model before any adapter: a checkpoint, or the demo's own from its seed."""
    if model.model_name_or_path != DEMO:
        return _from_pretrained(model.model_name_or_path, model)
    from hf_select.demo.model import build_model

    return build_model(cast("PreTrainedTokenizerFast", tokenizer), seed)


def _from_pretrained(name: str, model: ModelArguments) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    attention = "sdpa" if model.attn_implementation == PACKED else model.attn_implementation
    with loading("model", name):
        return AutoModelForCausalLM.from_pretrained(
            name,
            revision=model.model_revision,
            dtype=model.dtype,
            attn_implementation=attention,
            trust_remote_code=False,
        )


def _with_adapters(loaded: Any, model: ModelArguments) -> PreTrainedModel:
    from peft import LoraConfig, get_peft_model

    modules = model.lora_target_modules
    if model.lora_r < 1:
        raise ConfigError(f"lora_r={model.lora_r} must be at least 1.")
    config = LoraConfig(
        r=model.lora_r,
        lora_alpha=model.lora_alpha,
        lora_dropout=model.lora_dropout,
        target_modules=modules if modules == "all-linear" else modules.split(","),
        task_type="CAUSAL_LM",
    )
    return cast("PreTrainedModel", get_peft_model(loaded, config))
