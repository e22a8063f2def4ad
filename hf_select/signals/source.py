"""What the passes read from: rows, tokenizer, model and embedder, each loaded when it is first needed and only once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hf_select.errors import ConfigError, ModelError
from hf_select.rows import Row, RowFormat
from hf_select.signals.encoding import Encoded, encode
from hf_select.signals.identity import model_identity, model_origin, tokenizer_hash
from hf_select.signals.shards import processes
from hf_select.signals.store import CacheDir, Store, open_store
from hf_select.templates import Template, get_template

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger("hf_select")

Embed = Literal["prompt", "response", "both"]


@dataclass(frozen=True)
class Options:
    """How the passes read; every field is an option of ``extract`` and explained there."""

    template: str | Template | None = None
    max_length: int | None = None
    max_tokens_per_batch: int = 4096
    embed: Embed | None = None
    max_seq_length: int | None = None
    score_eos: bool = False
    revision: str | None = None
    cache_dir: CacheDir = None
    progress: bool = True

    def __post_init__(self) -> None:
        """Check the values that need no model.

        Raises:
            ConfigError: if one cannot be used.
        """
        for name in ("max_length", "max_tokens_per_batch", "max_seq_length"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name}={value!r} must be a whole number of at least 1.")
        if self.embed not in (None, "prompt", "response", "both"):
            raise ConfigError(f"embed={self.embed!r} must be 'prompt', 'response' or 'both'.")


@dataclass(frozen=True)
class Source:
    """Rows and what reads them.

    Attributes:
        rows: ``N`` rows.
        row_format: the form they came in.
        model_given: name, path or object of the model; ``None`` if there is none.
        tokenizer_given: the same for the tokenizer.
        embedder: the same for the embedder, or ``"tfidf"``.
        options: how the passes read.
    """

    rows: list[Row]
    row_format: RowFormat
    model_given: str | Path | torch.nn.Module | None
    tokenizer_given: str | Path | PreTrainedTokenizerBase | None
    embedder: Any
    options: Options

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer; a model given by name brings its own.

        Raises:
            ConfigError: if there is none.
        """
        given = self.tokenizer_given
        if given is None and isinstance(self.model_given, str | Path):
            given = self.model_given
        if given is None:
            raise ConfigError("A tokenizer is needed; give tokenizer=, as an object, a Hub id or a path.")
        if not isinstance(given, str | Path):
            return given
        from transformers import AutoTokenizer

        revision = self.options.revision if given == self.model_given else None
        return AutoTokenizer.from_pretrained(given, revision=revision)  # type: ignore[no-any-return]

    @cached_property
    def model(self) -> torch.nn.Module:
        """The causal language model; one given by name is loaded in its own dtype, to this process's device.

        Raises:
            ModelError: if the tokenizer has more ids than the model.
        """
        from transformers import AutoConfig, AutoModelForCausalLM

        given: Any = self.model_given
        if isinstance(given, str | Path):
            config = AutoConfig.from_pretrained(given, revision=self.options.revision)
            self._check_vocabulary(getattr(config.get_text_config(), "vocab_size", None))
            device = processes().device
            model = AutoModelForCausalLM.from_pretrained(given, revision=self.options.revision, dtype="auto").to(device)
            return model  # type: ignore[no-any-return]
        bare = getattr(given, "module", given)
        if hasattr(bare, "get_input_embeddings"):
            self._check_vocabulary(len(bare.get_input_embeddings().weight))
        return given  # type: ignore[no-any-return]

    def _check_vocabulary(self, n_embedded: int | None) -> None:
        if n_embedded is not None and len(self.tokenizer) > n_embedded:
            raise ModelError(
                f"The tokenizer has {len(self.tokenizer)} ids and the model embeds {n_embedded}: they do not belong "
                f"together. Use the model's own tokenizer, or resize the model's embeddings."
            )

    @cached_property
    def template(self) -> Template:
        """The wording of prompts: the one given, else by the form of the rows.

        Plain text has none, conversations use the tokenizer's chat template where it has one, all else
        ``"question"``, the wording of CodeACT.
        """
        if self.options.template is not None:
            return get_template(self.options.template)
        if self.row_format.form == "text":
            return get_template("plain")
        if self.row_format.form == "messages" and getattr(self.tokenizer, "chat_template", None):
            return get_template("chat")
        return get_template("question")

    @cached_property
    def max_length(self) -> int | None:
        """Tokens of a row at most: the option, else what the model and its tokenizer were made for."""
        if self.options.max_length is not None or self.model_given is None:
            return self.options.max_length
        config: Any = getattr(getattr(self.model, "module", self.model), "config", None)
        limits = [
            getattr(config and config.get_text_config(), "max_position_embeddings", None),
            self.tokenizer.model_max_length,
        ]
        known = [int(limit) for limit in limits if isinstance(limit, int) and 0 < limit < 10**9]
        return min(known, default=None)

    @cached_property
    def encoded(self) -> Encoded:
        """All rows as token ids."""
        return encode(
            self.rows, self.tokenizer, self.template, max_length=self.max_length, score_eos=self.options.score_eos
        )

    @cached_property
    def embed(self) -> Embed:
        """Which part of a row is embedded: the option, else the prompt (the response of plain text)."""
        return self.options.embed or ("response" if self.row_format.form == "text" else "prompt")

    @cached_property
    def model_identity(self) -> dict[str, Any]:
        """What decides the outputs of the model."""
        return model_identity(self.model)

    @cached_property
    def tokenizer_hash(self) -> str:
        """Hash of the tokenizer."""
        return tokenizer_hash(self.tokenizer)

    def store(self, pass_name: str, **identity: Any) -> Store | None:
        """The store of one pass.

        Args:
            pass_name: name of the pass.
            **identity: what the values depend on, as plain data.

        Returns:
            The store, or ``None`` if nothing is to be stored.
        """
        if self.options.cache_dir is False:
            return None
        return open_store(self.options.cache_dir, {"library": library_version(), "pass": pass_name, **identity})

    def model_store(self, pass_name: str, **identity: Any) -> Store | None:
        """The store of one pass of the model.

        Args:
            pass_name: name of the pass.
            **identity: what the values depend on besides model, tokenizer and template.

        Returns:
            The store, or ``None`` if nothing is to be stored.
        """
        if self.options.cache_dir is False:
            return None
        return self.store(
            pass_name,
            model=self.model_identity,
            tokenizer=self.tokenizer_hash,
            template=[self.template.name, self.template.text],
            max_length=self.max_length,
            score_eos=self.options.score_eos,
            max_tokens_per_batch=self.options.max_tokens_per_batch,
            **identity,
        )

    def provenance(self) -> dict[str, Any]:
        """What was used so far, as plain data for a record; nothing is loaded for it."""
        used: dict[str, Any] = {}
        if "model" in self.__dict__:
            used["model"] = {**model_origin(self.model), **self.__dict__.get("model_identity", {})}
        if "tokenizer" in self.__dict__:
            name = getattr(self.tokenizer, "name_or_path", None)
            used["tokenizer"] = {"name_or_path": name or None, "hash": self.tokenizer_hash}
        if "encoded" in self.__dict__:
            used["template"] = {"name": self.template.name, "text": self.template.text}
            used["max_length"] = self.max_length
        if self.embedder is not None:
            used["embedder"] = self.embedder if isinstance(self.embedder, str) else type(self.embedder).__name__
        return used


def library_version() -> str:
    """Version of this library, ``"0"`` in a checkout that is not installed."""
    try:
        return version("hf-select")
    except PackageNotFoundError:
        return "0"
