"""The model of a comparison before any training: where it comes from, and fresh copies of it."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.demo.encoder import N_CORPUS
from hf_select.errors import ConfigError, ModelError
from hf_select.experiment.arguments import DEMO
from hf_select.experiment.model import load_model, load_tokenizer
from hf_select.experiment.run import Run
from hf_select.grid.arguments import GridArguments
from hf_select.grid.data import GridData
from hf_select.signals.keys import Task

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


logger = logging.getLogger("hf_select")


@dataclass(frozen=True)
class BaseModel:
    """A model to be fine-tuned, with its tokenizer.

    Attributes:
        arguments: the arguments of the run.
        name: Hub id or folder; ``"demo"`` for a causal language model from scratch.
        tokenizer: its tokenizer.
        n_labels: number of classes, 0 for a causal language model.
        seconds: what pre-training it took; it is paid once and counts for no method.
    """

    arguments: GridArguments
    name: str
    tokenizer: PreTrainedTokenizerBase
    n_labels: int
    seconds: float = 0.0

    def fresh(self, seed: int) -> Any:
        """A copy that has seen no row of the pool.

        Args:
            seed: draws the head of a classifier, adapters, or all weights of a model from scratch.

        Returns:
            The model, on the CPU.
        """
        if not self.n_labels:
            return load_model(self.arguments.model, self.tokenizer, seed=seed)
        from hf_select.training.classification import load_classifier

        asked = self.arguments.model
        revision = None if Path(self.name).is_dir() else asked.model_revision
        return load_classifier(
            self.name, self.tokenizer, self.n_labels, seed=seed, new_head=True, revision=revision, dtype=asked.dtype
        )

    def trained(self, folder: Path, *, seed: int) -> Any:
        """A model that a warm-up saved.

        Args:
            folder: where it was saved.
            seed: of the fresh copy that was trained.

        Returns:
            The model, on the CPU; adapters stay adapters.
        """
        if self.n_labels:
            from hf_select.training.classification import load_classifier

            return load_classifier(folder, self.tokenizer, self.n_labels)
        if self.arguments.model.use_peft:
            from peft import load_peft_weights, set_peft_model_state_dict

            model = self.fresh(seed)
            set_peft_model_state_dict(model, load_peft_weights(str(folder)))
            return model
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(str(folder), dtype="auto", trust_remote_code=False)

    def draft(self, seed: int) -> Any:
        """A model of the same form, half as deep and half as wide, with weights drawn from a seed.

        Args:
            seed: draws the weights.

        Returns:
            The model, on the CPU.

        Raises:
            ConfigError: if the form cannot be halved.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

        config = halved(_plain(self.fresh(seed)).config)
        kind = AutoModelForSequenceClassification if self.n_labels else AutoModelForCausalLM
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return kind.from_config(config)  # type: ignore[no-untyped-call]


def halved(config: PreTrainedConfig) -> PreTrainedConfig:
    """A configuration of the same form, half as deep and half as wide.

    Args:
        config: the configuration; left as it is.

    Returns:
        The smaller one: half the layers, heads and widths, the same width of a head.

    Raises:
        ConfigError: if there is no even number of heads to halve, or no number at all.
    """
    small = copy.deepcopy(config)
    heads = getattr(config, "num_attention_heads", None)
    if not isinstance(heads, int) or heads % 2:
        raise ConfigError(
            f"A draft of {type(config).__name__} with {heads} attention heads cannot be made by halving; give a small "
            f"model by --draft_model_name_or_path."
        )
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size"):
        value = getattr(config, name, None)
        if isinstance(value, int):
            setattr(small, name, max(1, value // 2))
    return small


def _plain(model: Any) -> Any:
    """The model without adapters."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def load_base(run: Run, arguments: GridArguments, data: GridData) -> BaseModel:
    """The model of a run; that of the demo is pre-trained on generated functions, once.

    Args:
        run: the run folder.
        arguments: the arguments of the run.
        data: the rows.

    Returns:
        The model.

    Raises:
        ConfigError: if adapters are asked for where they are not trained.
        ModelError: if its tokenizer has no padding token.
    """
    model = arguments.model
    if arguments.task is Task.CAUSAL_LM:
        return BaseModel(arguments, model.model_name_or_path, load_tokenizer(model, data.pool), 0)
    if model.use_peft:
        raise ConfigError("use_peft serves --task causal_lm; a classifier is fine-tuned as a whole.")
    if model.model_name_or_path != DEMO:
        return BaseModel(arguments, model.model_name_or_path, load_tokenizer(model, data.pool), data.n_labels)
    if not arguments.is_demo:
        raise ModelError("model_name_or_path=demo knows the generated functions alone; name an encoder for your rows.")
    from transformers import AutoTokenizer

    folder = run.folder / "base"
    record = run.stage("base", lambda: _pretrain(data, folder))
    return BaseModel(
        arguments,
        str(folder),
        AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False),
        data.n_labels,
        record["seconds"],
    )


def _pretrain(data: GridData, folder: Path) -> dict[str, float]:
    from hf_select.demo.encoder import pretrain_encoder
    from hf_select.demo.planted_bug import draw_corpus

    logger.info("Pre-training the demo's encoder on %d generated functions, a minute or two on two cores.", N_CORPUS)
    return pretrain_encoder(draw_corpus(0, N_CORPUS, apart_from=data.texts), folder)
