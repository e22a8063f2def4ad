"""Sequence classifiers: features of labelled rows, and a model whose head is drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import ModelError, RowError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from hf_select.rows import Row


def classification_features(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, max_length: int | None
) -> list[dict[str, Any]]:
    """Labelled rows as ``DataCollatorWithPadding`` takes them, read as the classifier pass reads them.

    Args:
        rows: ``N`` rows with a label.
        tokenizer: the classifier's tokenizer.
        max_length: tokens of a row at most; ``None`` for no limit. How many texts are cut is told.

    Returns:
        ``N`` features with ``input_ids`` and ``labels``.

    Raises:
        RowError: if a row has no label, or no text.
    """
    from hf_select.signals.classifier_encoding import encode_texts
    from hf_select.signals.text import row_text

    unlabelled = [row_id for row_id, row in enumerate(rows) if row.label is None]
    if unlabelled:
        raise RowError(
            f"{len(unlabelled)} rows have no label (first: {unlabelled[:5]}); name its column with "
            f"columns={{'prompt': ..., 'label': ...}}."
        )
    texts = list(row_text(rows))
    if blank := [row_id for row_id, text in enumerate(texts) if not text.strip()]:
        raise RowError(f"{len(blank)} rows have no text to classify (first: {blank[:5]}); drop them before training.")
    encoded = encode_texts(texts, tokenizer, max_length)
    return [{"input_ids": ids.tolist(), "labels": row.label} for ids, row in zip(encoded, rows, strict=True)]


def load_classifier(
    name: str | Path,
    tokenizer: PreTrainedTokenizerBase,
    n_labels: int,
    *,
    seed: int = 0,
    new_head: bool = False,
    revision: str | None = None,
    dtype: str = "auto",
) -> PreTrainedModel:
    """Load a checkpoint as a sequence classifier; what the checkpoint lacks, usually the head, is drawn from a seed.

    Args:
        name: Hub id or folder.
        tokenizer: its tokenizer; the padding token is noted in the configuration, where decoders need it.
        n_labels: number of classes.
        seed: seeds the new weights; the global random state is left as it was found.
        new_head: draw the head even where the checkpoint has one, of whatever number of classes.
        revision: branch, tag or commit.
        dtype: dtype of the weights; ``"auto"`` keeps the checkpoint's.

    Returns:
        The classifier, on the CPU.

    Raises:
        ModelError: if there is no such checkpoint, or the tokenizer has more ids than the model embeds.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators too
            model, found = AutoModelForSequenceClassification.from_pretrained(
                str(name),
                revision=revision,
                dtype=dtype,
                num_labels=n_labels,
                ignore_mismatched_sizes=new_head,
                trust_remote_code=False,
                output_loading_info=True,
            )
            if new_head and not found["missing_keys"]:
                trained, model = model, type(model)(model.config).to(model.dtype)
                model.base_model.load_state_dict(trained.base_model.state_dict())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"No classifier can be loaded from {str(name)!r}: {error} Give a Hub id or a folder."
        ) from error
    n_embedded = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > n_embedded:
        raise ModelError(
            f"The tokenizer has {len(tokenizer)} ids and the model embeds {n_embedded}; use the model's own tokenizer, "
            f"or resize the embeddings and save the model."
        )
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return model  # type: ignore[no-any-return]
