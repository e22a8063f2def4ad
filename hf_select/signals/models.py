"""Model, tokenizer and embedder, given as objects or by name; what is given by name is loaded when first needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import ConfigError, ModelError
from hf_select.signals.identity import model_identity, model_origin, tokenizer_hash
from hf_select.signals.shards import processes

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from hf_select.signals.reader import Way

TFIDF = "tfidf"
"""The embedder that needs no model."""


@dataclass(frozen=True)
class Models:
    """What reads the rows; each part is loaded at most once.

    Attributes:
        given_model: name, path or object of the causal language model; ``None`` if there is none.
        given_tokenizer: the same for its tokenizer.
        given_embedder: a sentence-transformers model by name, path or object, or ``"tfidf"``.
        revision: revision of a model given by Hub id.
    """

    given_model: Any = None
    given_tokenizer: Any = None
    given_embedder: Any = None
    revision: str | None = None

    @property
    def has_tokenizer(self) -> bool:
        """Whether there is a tokenizer; a model given by name brings its own."""
        return self.given_tokenizer is not None or isinstance(self.given_model, str | Path)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer.

        Returns:
            The object that was given, or the one of that name.

        Raises:
            ConfigError: if there is none.
        """
        if not self.has_tokenizer:
            raise ConfigError("A tokenizer is needed; give tokenizer=, as an object, a Hub id or a path.")
        given: Any = self.given_model if self.given_tokenizer is None else self.given_tokenizer
        if not isinstance(given, str | Path):
            return given  # type: ignore[no-any-return]
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(given, revision=self.revision if given == self.given_model else None)

    @cached_property
    def model(self) -> torch.nn.Module:
        """The causal language model; one given by name is loaded in its own dtype, to this process's device."""
        given: Any = self.given_model
        if not isinstance(given, str | Path):
            bare = getattr(given, "module", given)
            if hasattr(bare, "get_input_embeddings"):
                self._check_vocabulary(len(bare.get_input_embeddings().weight))
            return given  # type: ignore[no-any-return]
        from transformers import AutoConfig, AutoModelForCausalLM

        config = AutoConfig.from_pretrained(given, revision=self.revision)
        self._check_vocabulary(getattr(config.get_text_config(), "vocab_size", None))
        loaded: Any = AutoModelForCausalLM.from_pretrained(given, revision=self.revision, dtype="auto")
        return loaded.to(processes().device)  # type: ignore[no-any-return]

    @cached_property
    def way(self) -> Way:
        """How the model is read, found out once."""
        from hf_select.signals.way import find_way

        return find_way(self.model)

    @property
    def n_positions(self) -> int | None:
        """Tokens that the model was made for, where its configuration says so."""
        model: Any = self.model
        config = getattr(getattr(model, "module", model), "config", None)
        return getattr(config.get_text_config(), "max_position_embeddings", None) if config is not None else None

    @cached_property
    def embedder(self) -> Any:
        """The sentence-transformers model.

        Returns:
            The object that was given, or the one of that name.

        Raises:
            ConfigError: if it has no ``encode``, or sentence-transformers is not installed.
        """
        given = self.given_embedder
        if not isinstance(given, str | Path):
            if not hasattr(given, "encode"):
                raise ConfigError(
                    f"embedder={type(given).__name__} has no encode(); give a SentenceTransformer, the name of one, "
                    f"{TFIDF!r}, or None for the model's own states."
                )
            return given
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as reason:
            raise ConfigError(
                f"embedder={str(given)!r} needs sentence-transformers: pip install 'hf-select[embeddings]'. Or give "
                f"embedder={TFIDF!r} (no model), or none to use the model's own states."
            ) from reason
        return SentenceTransformer(str(given), device=str(processes().device))

    @cached_property
    def model_identity(self) -> dict[str, Any]:
        """What decides the outputs of the model."""
        return model_identity(self.model)

    @cached_property
    def tokenizer_hash(self) -> str:
        """Hash of the tokenizer."""
        return tokenizer_hash(self.tokenizer)

    def provenance(self) -> dict[str, Any]:
        """What was used so far, as plain data for a record; nothing is loaded for it."""
        used: dict[str, Any] = {}
        if "model" in self.__dict__:
            used["model"] = {**model_origin(self.model), **self.model_identity}
        if "tokenizer" in self.__dict__:
            used["tokenizer"] = {"name_or_path": self.tokenizer.name_or_path or None, "hash": self.tokenizer_hash}
        if self.given_embedder is not None:
            by_name = isinstance(self.given_embedder, str | Path)
            used["embedder"] = str(self.given_embedder) if by_name else type(self.given_embedder).__name__
        return used

    def _check_vocabulary(self, n_embedded: int | None) -> None:
        """Refuse a tokenizer with more ids than the model embeds."""
        if n_embedded is not None and len(self.tokenizer) > n_embedded:
            raise ModelError(
                f"The tokenizer has {len(self.tokenizer)} ids and the model embeds {n_embedded}: they do not belong "
                f"together. Use the model's own tokenizer, or resize the model's embeddings."
            )
