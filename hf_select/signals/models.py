"""Model, tokenizer, embedder and companions, given as objects or by name; a name is loaded when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import ConfigError, ModelError
from hf_select.extra import missing_extra
from hf_select.pretrained import loading
from hf_select.signals.identity import model_identity, model_origin, tokenizer_hash
from hf_select.signals.keys import Task
from hf_select.signals.shards import processes

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from hf_select.signals.reader import Way

TFIDF = "tfidf"
"""The embedder that needs no model."""


@dataclass(frozen=True)
class Companions:
    """Models besides the one that is selected for; each is read by few methods.

    Attributes:
        language_model: causal language model that answers after demonstrations (``uq_icl`` in classification): a Hub
            id, a path, or ``(model, tokenizer)``.
        draft_model: small model whose effort is measured on every row (``staff``); given in the same ways.
        ensemble: models, or names of adapters of the model, that take the place of dropout masks (``bald``,
            ``batch_bald``).
        checkpoints: folders of ``Trainer`` checkpoints with optimiser state (``less``; the last one, ``discore``).
        optimizer: the optimiser that trains the model, as it stands (``discore``); goes before ``checkpoints``.
        loss_head: a trained head that predicts the loss (``learning_loss``), from ``train_loss_head``.
        encoder: encoder that learns to predict influence (``influence_predictor``): a Hub id, a path, or ``(model,
            tokenizer)``; one made from nothing where there is none.
        judge: what judges rows (``llm_score``): an ``EndpointJudge``, a ``LocalJudge``, or the name of one,
            ``"https://host/v1#model"`` or the Hub id or path of a model.
    """

    language_model: Any = None
    draft_model: Any = None
    ensemble: tuple[Any, ...] = ()
    checkpoints: tuple[str | Path, ...] = ()
    loss_head: Any = None
    optimizer: Any = None
    encoder: Any = None
    judge: Any = None


@dataclass(frozen=True)
class Models:
    """What reads the rows; each part is loaded at most once.

    Attributes:
        given_model: name, path or object of the model, a causal language model or a sequence classifier; ``None`` if
            there is none.
        given_tokenizer: the same for its tokenizer.
        given_embedder: a sentence-transformers model by name, path or object, or ``"tfidf"``.
        revision: revision of a model given by Hub id.
        given_task: kind of the model; ``None`` to ask the model.
        companions: models besides it.
    """

    given_model: Any = None
    given_tokenizer: Any = None
    given_embedder: Any = None
    revision: str | None = None
    given_task: Task | None = None
    companions: Companions = Companions()

    @cached_property
    def task(self) -> Task:
        """Kind of the model: as given, else by its architecture; a causal language model where there is none."""
        if self.given_task is not None or self.given_model is None:
            return self.given_task or Task.CAUSAL_LM
        if isinstance(self.given_model, str | Path):
            from transformers import AutoConfig

            with loading("model", self.given_model):
                config = AutoConfig.from_pretrained(self.given_model, revision=self.revision, trust_remote_code=False)
            names = config.architectures or []
        else:
            from accelerate.utils import extract_model_from_parallel

            bare = extract_model_from_parallel(self.given_model, keep_torch_compile=False)
            names = [type(bare).__name__, *(getattr(getattr(bare, "config", None), "architectures", None) or [])]
        return Task.CLASSIFICATION if any("SequenceClassification" in name for name in names) else Task.CAUSAL_LM

    @cached_property
    def language(self) -> Models:
        """The companion that answers after demonstrations, as models of its own."""
        return _companion("language_model", self.companions.language_model, Task.CAUSAL_LM)

    @cached_property
    def draft(self) -> Models:
        """The small companion of ``staff``, of the same kind as the model."""
        return _companion("draft_model", self.companions.draft_model, self.task)

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

        revision = self.revision if given == self.given_model else None
        with loading("tokenizer", given):
            return AutoTokenizer.from_pretrained(given, revision=revision, trust_remote_code=False)

    @cached_property
    def model(self) -> torch.nn.Module:
        """The model; one given by name is loaded in its own dtype, to this process's device."""
        given: Any = self.given_model
        if not isinstance(given, str | Path):
            bare = getattr(given, "module", given)
            if hasattr(bare, "get_input_embeddings"):
                self._check_vocabulary(len(bare.get_input_embeddings().weight))
            return given  # type: ignore[no-any-return]
        from transformers import AutoConfig

        with loading("model", given):
            config = AutoConfig.from_pretrained(given, revision=self.revision, trust_remote_code=False)
        self._check_vocabulary(getattr(config.get_text_config(), "vocab_size", None))
        with loading("model", given):
            loaded = self._load(given)
        return loaded.to(processes().device)  # type: ignore[no-any-return]

    def _load(self, name: str | Path) -> Any:
        """The model of that name; a classifier whose head is not in its checkpoint is refused."""
        from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

        if self.task is Task.CAUSAL_LM:
            return AutoModelForCausalLM.from_pretrained(
                name, revision=self.revision, dtype="auto", trust_remote_code=False
            )
        model, found = AutoModelForSequenceClassification.from_pretrained(
            name, revision=self.revision, dtype="auto", trust_remote_code=False, output_loading_info=True
        )
        if found["missing_keys"]:
            raise ModelError(
                f"The checkpoint {str(name)!r} has no weights for {sorted(found['missing_keys'])}: its head would be "
                f"random, and so would every score. Train it on labelled rows first (hf_select.warm_up), or give a "
                f"fine-tuned classifier."
            )
        return model

    @cached_property
    def way(self) -> Way:
        """How the model is read, found out once."""
        from hf_select.signals.way import find_way

        return find_way(self.model)

    @property
    def n_positions(self) -> int | None:
        """Tokens that the model was made for, where its configuration says so.

        RoBERTa and its kin count positions from after that of the padding token, so they take fewer tokens than that.
        """
        model: Any = self.model
        bare = getattr(model, "module", model)
        config = getattr(bare, "config", None)
        n_positions = getattr(config.get_text_config(), "max_position_embeddings", None) if config is not None else None
        if n_positions is None:
            return None
        skipped = (
            layer.padding_idx + 1
            for name, layer in bare.named_modules()
            if name.endswith("position_embeddings") and getattr(layer, "padding_idx", None) is not None
        )
        return int(n_positions - max(skipped, default=0))

    @cached_property
    def embedder(self) -> Any:
        """The sentence-transformers model.

        Returns:
            The object that was given, or the one of that name.

        Raises:
            ConfigError: if it has no ``encode``.
            MissingExtraError: if sentence-transformers is not installed.
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
            otherwise = f"Or give embedder={TFIDF!r} (no model), or none to use the model's own states."
            raise missing_extra("sentence_transformers", f"embedder={str(given)!r}", otherwise) from reason
        with loading("embedder", given):
            return SentenceTransformer(str(given), device=str(processes().device), trust_remote_code=False)

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


def _companion(name: str, given: Any, task: Task) -> Models:
    """Models made of what was given as a companion.

    Args:
        name: the field of ``Companions``.
        given: its value.
        task: kind of the model.

    Returns:
        The models.

    Raises:
        ConfigError: if nothing was given, or neither a name nor a pair.
    """
    if isinstance(given, str | Path):
        return Models(given, given_task=task)
    if isinstance(given, tuple | list) and len(given) == 2:
        return Models(given[0], given[1], given_task=task)
    raise ConfigError(
        f"companions.{name}={type(given).__name__} cannot be read; give a Hub id, a path, or (model, tokenizer)."
    )
