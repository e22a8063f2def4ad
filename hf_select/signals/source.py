"""What the passes read from: rows and models, how they read, and where finished shards go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

from hf_select import __version__
from hf_select.errors import ConfigError, unknown_name
from hf_select.rows import Row, RowFormat
from hf_select.signals.encoding import Encoded, encode
from hf_select.signals.keys import Indices
from hf_select.signals.models import Models
from hf_select.signals.plan import MAX_TOKENS_PER_BATCH
from hf_select.signals.store import CacheDir, Store, open_store
from hf_select.templates import Template, get_template

Embed = Literal["prompt", "response", "both"]

_NO_LIMIT = 10**9  # a tokenizer that knows no limit says 1e30


@dataclass(frozen=True)
class Options:
    """How the passes read; every field is an option of ``extract`` and explained there."""

    template: str | Template | None = None
    max_length: int | None = None
    max_tokens_per_batch: int = MAX_TOKENS_PER_BATCH
    embed: Embed | None = None
    max_seq_length: int | None = None
    score_eos: bool = False
    cache_dir: CacheDir = None
    progress: bool = True
    seed: int = 0
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        """Check the values that need no model.

        Raises:
            ConfigError: if one cannot be used.
        """
        for name in ("max_length", "max_tokens_per_batch", "max_seq_length", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name}={value!r} must be a whole number of at least 1.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ConfigError(f"seed={self.seed!r} must be a whole number of at least 0.")
        if self.embed not in (None, "prompt", "response", "both"):
            raise ConfigError(f"embed={self.embed!r} must be 'prompt', 'response' or 'both'.")
        if self.template is not None:
            get_template(self.template)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Options by their names.

        Args:
            given: their values; those that are not there keep their defaults.

        Returns:
            The options.

        Raises:
            ConfigError: if there is no such option, or it cannot have that value.
        """
        known = [option.name for option in fields(cls)]
        for name in given:
            if name not in known:
                raise ConfigError(str(unknown_name("option", name, known)))
        return cls(**given)


@dataclass(frozen=True)
class Source:
    """Rows and what reads them.

    Attributes:
        rows: ``N`` rows.
        row_format: the form they came in.
        models: model, tokenizer and embedder.
        options: how the passes read.
        labelled: rows that are in use already, with their labels or responses.
        reference: reference rows of each task, by its name.
        notes: what the passes found worth recording, as plain data.
    """

    rows: list[Row]
    row_format: RowFormat
    models: Models
    options: Options
    labelled: list[Row] = field(default_factory=list)
    reference: Mapping[str, list[Row]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict, compare=False)

    def only(self, rows: Indices) -> Source:
        """The same source with some of its rows.

        Args:
            rows: ``(m,)`` row ids.

        Returns:
            The source of those rows.
        """
        return replace(self, rows=[self.rows[row] for row in rows])

    @cached_property
    def template(self) -> Template:
        """The wording of prompts: the one given, else by the form of the rows.

        Plain text has none, conversations use the tokenizer's chat template where it has one, all else
        ``"question"``, the wording of CodeACT.
        """
        if self.options.template is not None:
            template = get_template(self.options.template)
            if self.models.has_tokenizer:
                template.check(self.models.tokenizer)
            return template
        if self.row_format.form == "text":
            return get_template("plain")
        if self.row_format.form == "messages" and getattr(self.models.tokenizer, "chat_template", None):
            return get_template("chat")
        return get_template("question")

    @cached_property
    def max_length(self) -> int | None:
        """Tokens of a row at most: the option, else what the model and its tokenizer were made for."""
        if self.options.max_length is not None or self.models.given_model is None:
            return self.options.max_length
        limits = (self.models.n_positions, self.models.tokenizer.model_max_length)
        return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)

    @cached_property
    def encoded(self) -> Encoded:
        """All rows as token ids."""
        return encode(
            self.rows,
            self.models.tokenizer,
            self.template,
            max_length=self.max_length,
            score_eos=self.options.score_eos,
        )

    @cached_property
    def embed(self) -> Embed:
        """Which part of a row is embedded: the option, else the prompt (the response of plain text)."""
        return self.options.embed or ("response" if self.row_format.form == "text" else "prompt")

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
        return open_store(self.options.cache_dir, {"library": __version__, "pass": pass_name, **identity})

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
            model=self.models.model_identity,
            tokenizer=self.models.tokenizer_hash,
            template=[self.template.name, self.template.text],
            max_length=self.max_length,
            score_eos=self.options.score_eos,
            max_tokens_per_batch=self.options.max_tokens_per_batch,
            **identity,
        )

    def provenance(self) -> dict[str, Any]:
        """What was used so far, as plain data for a record; nothing is loaded for it."""
        used = {**self.models.provenance(), **self.notes}
        if "encoded" in self.__dict__:
            used["template"] = {"name": self.template.name, "text": self.template.text}
            used["max_length"] = self.max_length
        return used
