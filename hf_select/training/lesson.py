"""What a model is trained on: features of rows, the collator that batches them, and the attention they need."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import DataCollatorWithPadding

from hf_select.errors import ModelError, RowError
from hf_select.pretrained import loading
from hf_select.rows import RowFormat
from hf_select.signals.models import Models
from hf_select.signals.source import Options, Source
from hf_select.tokens import features, tokenize
from hf_select.training.attention import packed_attention
from hf_select.training.classification import classification_features, load_classifier
from hf_select.training.collator import DynamicPackCollator
from hf_select.training.warm_up import warm_up_features

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

_NO_LIMIT = 10**9  # a tokenizer that knows no limit says 1e30


@dataclass(frozen=True)
class Lesson:
    """What is trained, and on what.

    Attributes:
        model: the model.
        tokenizer: its tokenizer.
        features: tokenised rows.
        collator: makes batches of them.
        packed: whether samples share rows of a batch, so that the attention must keep them apart.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    features: Sequence[Mapping[str, Any]]
    collator: Any
    packed: bool

    def attention(self) -> contextlib.AbstractContextManager[object]:
        """A context in which the model reads the batches as it should."""
        return packed_attention(self.model) if self.packed else contextlib.nullcontext()

    def with_adapters(self, lora: Any) -> Lesson:
        """The same lesson for LoRA adapters of the model.

        Args:
            lora: a ``peft.LoraConfig``.

        Returns:
            The lesson.
        """
        from peft import get_peft_model

        return replace(self, model=get_peft_model(self.model, lora))


def make_lesson(
    model: Any,
    rows: Dataset,
    *,
    tokenizer: Any = None,
    columns: Mapping[str, str] | None = None,
    n_labels: int | None = None,
    template: str | None = None,
    max_length: int | None = None,
    instruction_dropout: bool = False,
    seed: int = 0,
) -> Lesson:
    """Read rows as what trains a model: labelled rows a sequence classifier, all others a causal language model.

    Args:
        model: Hub id, folder or object.
        rows: the rows.
        tokenizer: an object or a name; a model given by name brings its own.
        columns: which column holds what, as in ``extract``.
        n_labels: number of classes, for a classifier given by name; by default the largest label plus 1.
        template: wording of prompts, as in ``extract``.
        max_length: longest row in tokens; by default what the tokenizer was made for.
        instruction_dropout: let a causal language model read every row with a prompt a second time without it.
        seed: draws the weights that a checkpoint lacks.

    Returns:
        The lesson.

    Raises:
        ModelError: if batches have to be padded and the tokenizer has no token for that.
        RowError: if no row can teach anything.
    """
    row_format = RowFormat.detect(rows, columns)
    words = Models(model, tokenizer).tokenizer
    source = Source(row_format.read(rows), row_format, Models(None, words), Options(template))
    limit = max_length or (words.model_max_length if words.model_max_length < _NO_LIMIT else None)
    if row_format.form != "classification":
        return _language_lesson(model, source, limit, instruction_dropout=instruction_dropout)
    learned = classification_features(source.rows, words, limit)
    if words.pad_token_id is None:
        raise ModelError(
            "A classifier's batches are padded and the tokenizer has no pad token; set tokenizer.pad_token."
        )
    if isinstance(model, str | Path):
        model = load_classifier(model, words, n_labels or _n_classes(learned), seed=seed)
    return Lesson(model, words, learned, DataCollatorWithPadding(words), packed=False)


def _n_classes(learned: Sequence[Mapping[str, Any]]) -> int:
    """The largest label plus 1; one class alone teaches nothing, and transformers would read it as a regression."""
    n_classes = 1 + max(int(row["labels"]) for row in learned)
    if n_classes < 2:
        raise RowError(
            f"All {len(learned)} rows have the label 0: one class teaches nothing. Give rows of two, or n_labels=."
        )
    return n_classes


def _language_lesson(model: Any, source: Source, max_length: int | None, *, instruction_dropout: bool) -> Lesson:
    if isinstance(model, str | Path):
        from transformers import AutoModelForCausalLM

        with loading("model", model):
            model = AutoModelForCausalLM.from_pretrained(str(model), dtype="auto", trust_remote_code=False)
    words = source.models.tokenizer
    length = max_length or int(model.config.get_text_config().max_position_embeddings)
    tokenized = tokenize(source.rows, words, source.template, max_length=length, add_eos=True)
    learned: Any = features([row for row in tokenized if row.response_ids])
    if not learned:
        raise RowError(
            f"None of the {len(source.rows)} rows leaves room for a response within max_length={length}; raise it."
        )
    if instruction_dropout and source.row_format.form != "text":
        learned = warm_up_features(learned, words)
    return Lesson(model, words, learned, DynamicPackCollator(words, length), packed=True)
