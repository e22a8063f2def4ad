"""One forward pass of a sequence classifier over a batch of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_select.errors import ModelError, PackingError
from hf_select.signals.classifier_head import (
    class_probabilities,
    expected_gradient_length,
    head_input,
    recorded_heads,
)
from hf_select.signals.evaluation_mode import evaluation_mode
from hf_select.signals.identity import require_whole
from hf_select.signals.plan import TokenIds
from hf_select.signals.reader import inner_model
from hf_select.signals.store import Arrays


@dataclass(frozen=True)
class ClassifierReader:
    """A classifier, ready to be read.

    Attributes:
        model: the model, out of its parallel wrapper.
        pad_id: token that fills up short texts; a decoder finds their ends by it.
        device: where its inputs go.
    """

    model: torch.nn.Module
    pad_id: int
    device: torch.device

    @property
    def n_logits(self) -> int:
        """Logits of a text: classes, or 1 of a sigmoid head."""
        return int(inner_model(self.model).config.num_labels)

    def read(self, sequences: Sequence[TokenIds], *, states: bool) -> Arrays:
        """Read one batch.

        Args:
            sequences: token ids of ``n`` texts, none of them empty.
            states: read also what goes into the last layer, and the gradient length that follows from it.

        Returns:
            ``"probabilities"``: ``(n, C)`` float32; ``"state"``: ``(n, D)`` float32; ``"gradient_length"``: ``(n,)``
            float64.
        """
        inputs = self.inputs(sequences)
        if not states:
            return {"probabilities": class_probabilities(self.outputs(inputs).logits).cpu().numpy()}
        with recorded_heads(self.model, self.n_logits) as calls:
            logits = self.outputs(inputs).logits
        found = head_input(calls, logits, inputs["attention_mask"])
        probabilities = class_probabilities(logits).cpu().numpy()
        state = found.states.float().cpu().numpy()
        lengths = expected_gradient_length(
            probabilities, state, has_bias=found.has_bias, is_sigmoid=logits.shape[1] == 1
        )
        return {"probabilities": probabilities, "state": state, "gradient_length": lengths}

    def outputs(self, inputs: dict[str, torch.Tensor], **kwargs: Any) -> Any:
        """What the model returns for a batch.

        Args:
            inputs: from ``inputs``.
            **kwargs: further arguments of its forward pass.

        Returns:
            The output, with ``logits`` ``(n, C)``.

        Raises:
            ModelError: if it has no logits of that shape.
        """
        outputs = self.model(**inputs, **kwargs)
        shape = tuple(getattr(outputs, "logits", torch.empty(0)).shape)
        if shape != (len(inputs["input_ids"]), self.n_logits):
            raise ModelError(
                f"{type(self.model).__name__} returns logits of shape {shape} for {len(inputs['input_ids'])} texts and "
                f"{self.n_logits} labels; give a model of AutoModelForSequenceClassification."
            )
        return outputs

    def inputs(self, sequences: Sequence[TokenIds]) -> dict[str, torch.Tensor]:
        """Texts padded on the right to the longest of them.

        Args:
            sequences: token ids of ``n`` texts.

        Returns:
            ``input_ids`` and ``attention_mask``, ``(n, T)`` int64.
        """
        lengths = np.asarray([len(sequence) for sequence in sequences])
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, self.pad_id, dtype=np.int64)
        ids[mask] = np.concatenate(sequences)
        arrays = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        return {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}


@contextmanager
def classifier_reader(model: torch.nn.Module) -> Iterator[ClassifierReader]:
    """Prepare a classifier for reading and give it back as it was.

    Inside, it is in evaluation mode, without gradients and without a cache. Global random state is not touched.

    Args:
        model: a sequence classifier of transformers, bare or wrapped (PEFT, DDP).

    Yields:
        ClassifierReader: the model, ready to be read.
    """
    from hf_select.training.attention import plain_attention

    bare = bare_classifier(model)
    config: Any = inner_model(bare).config
    with evaluation_mode(bare, config), plain_attention(bare):
        yield ClassifierReader(bare, config.get_text_config().pad_token_id, next(bare.parameters()).device)


def bare_classifier(model: torch.nn.Module) -> torch.nn.Module:
    """The model out of its parallel wrapper, checked to be one whose class probabilities can be read.

    Args:
        model: what was given.

    Returns:
        The model, possibly with adapters.

    Raises:
        ModelError: if it is no model of transformers, if its labels are no classes that exclude one another, or if it
            has no padding token.
    """
    from accelerate.utils import extract_model_from_parallel

    bare: torch.nn.Module = extract_model_from_parallel(model, keep_torch_compile=False)
    try:
        config = inner_model(bare).config
    except PackingError as reason:
        raise ModelError(f"{reason} Signals of a classifier need a sequence classifier of transformers.") from None
    if config.problem_type in ("multi_label_classification", "regression"):
        raise ModelError(
            f"{type(bare).__name__} was made for {config.problem_type} (config.problem_type), so its outputs are no "
            f"probabilities of classes that exclude one another; give a classifier of one label per text."
        )
    if config.get_text_config().pad_token_id is None:
        raise ModelError(
            f"{type(bare).__name__} has no padding token, so texts of different lengths cannot be read together. Set "
            f"model.config.pad_token_id (for example to tokenizer.pad_token_id or tokenizer.eos_token_id)."
        )
    require_whole(bare)
    return bare
