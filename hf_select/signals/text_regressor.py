"""An encoder that reads a text in windows and puts one number on it: what learns to predict a score of rows."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from hf_select.errors import ConfigError, ModelError
from hf_select.pretrained import loading
from hf_select.signals.identity import require_whole
from hf_select.signals.plan import TokenIds

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

N_WINDOWS = 2
"""Windows of a text; what comes after them is not read."""

_VOCABULARY = 1024
_WIDTH, _LAYERS, _HEADS = 128, 2, 4


class TextRegressor(nn.Module):
    """``Linear(mean of the last hidden states over all tokens of all windows of a text)``.

    Attributes:
        encoder: gives ``last_hidden_state``.
        head: from its width to one number.
        pad_id: token that fills up short windows.
        window: tokens of a window.
    """

    def __init__(self, encoder: nn.Module, *, pad_id: int, window: int) -> None:
        """Put a new head on an encoder.

        Args:
            encoder: the encoder, float32.
            pad_id: token that fills up short windows.
            window: tokens of a window.
        """
        super().__init__()
        config: Any = encoder.config
        self.encoder, self.pad_id, self.window = encoder, pad_id, window
        self.head = nn.Linear(int(config.get_text_config().hidden_size), 1)

    @property
    def max_length(self) -> int:
        """Tokens of a text that are read."""
        return N_WINDOWS * self.window

    def forward(self, sequences: Sequence[TokenIds]) -> torch.Tensor:
        """Predict for some texts.

        Args:
            sequences: token ids of ``n`` texts, none of them empty.

        Returns:
            ``(n,)`` float32.

        Raises:
            ModelError: if the encoder gives no hidden states.
        """
        windows = [
            (place, sequence[start : start + self.window])
            for place, sequence in enumerate(sequences)
            for start in range(0, min(len(sequence), self.max_length), self.window)
        ]
        shape = len(windows), max(len(ids) for _, ids in windows)
        ids, mask = np.full(shape, self.pad_id, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for line, (_, window) in enumerate(windows):
            ids[line, : len(window)], mask[line, : len(window)] = window, 1
        device = self.head.weight.device
        seen = torch.from_numpy(mask).to(device)
        outputs = self.encoder(input_ids=torch.from_numpy(ids).to(device), attention_mask=seen)
        states = getattr(outputs, "last_hidden_state", None)
        if states is None:
            raise ModelError(
                f"{type(self.encoder).__name__} gives no last_hidden_state; give an encoder of AutoModel, without the "
                f"head of another task."
            )
        owners = torch.tensor([place for place, _ in windows], device=device)
        sums = (states.float() * seen[..., None]).sum(1)
        counts = seen.sum(1, dtype=torch.float32)
        pooled = sums.new_zeros(len(sequences), sums.shape[1]).index_add(0, owners, sums)
        weights = counts.new_zeros(len(sequences)).index_add(0, owners, counts)
        predicted: torch.Tensor = self.head(pooled / weights[:, None])[:, 0]
        return predicted


def make_regressor(
    encoder: Any, tokenizer: Any, texts: Sequence[str], *, max_length: int, seed: int
) -> tuple[TextRegressor, PreTrainedTokenizerBase]:
    """A regressor with a new head, and the tokenizer of its encoder.

    Args:
        encoder: a Hub id, a folder or a model, of which a copy is taken; ``None`` for a small one made from nothing.
        tokenizer: its tokenizer, in the same forms; ``None`` for that of the name, or a byte-level BPE of the texts.
        texts: what a tokenizer made from nothing learns from.
        max_length: tokens of a window at most; fewer where the encoder was made for fewer.
        seed: of the weights that are new.

    Returns:
        The regressor, float32 on the CPU, and the tokenizer.

    Raises:
        ConfigError: if the encoder came as an object without tokenizer, or a tokenizer without encoder.
        ModelError: if the checkpoint lacks weights of the encoder.
    """
    from hf_select.signals.models import Models

    by_name = isinstance(encoder, str | Path)
    if (encoder is None) != (tokenizer is None) and not by_name:
        lacking = "tokenizer" if tokenizer is None else "encoder"
        raise ConfigError(f"Encoder and tokenizer belong together and the {lacking} is missing; give {lacking}=.")
    with seeded(seed):
        if encoder is None:
            tokenizer = _train_tokenizer(texts)
            encoder = _build_encoder(tokenizer, max_length)
        elif by_name:
            tokenizer = Models(encoder, tokenizer).tokenizer
            encoder = _load_encoder(encoder)
        else:
            require_whole(encoder)
            tokenizer = Models(encoder, tokenizer).tokenizer
            encoder = copy.deepcopy(getattr(encoder, "module", encoder)).float().cpu().requires_grad_(True)
    limit = Models(encoder, tokenizer).n_positions or max_length
    if getattr(encoder.config, "is_encoder_decoder", False):
        encoder = encoder.get_encoder()
    with seeded(seed):  # anew, so that the head is the same however the encoder came
        return TextRegressor(encoder, pad_id=tokenizer.pad_token_id or 0, window=min(max_length, limit)), tokenizer


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a seed inside, on the CPU and on this process's accelerator; afterwards random states are as before.

    Args:
        seed: the seed.

    Yields:
        None: the global generators of torch are seeded.
    """
    from hf_select.training.random_state import random_state_kept

    with random_state_kept():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed accelerators that are not restored
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)
        yield


def _load_encoder(name: str | Path) -> Any:
    """The encoder of that name, float32; the pooler may be missing, since it is not used."""
    from transformers import AutoModel

    with loading("encoder", name):
        encoder, found = AutoModel.from_pretrained(
            name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    if missing := sorted(key for key in found["missing_keys"] if not key.startswith("pooler.")):
        raise ModelError(
            f"The checkpoint {str(name)!r} has no weights for {len(missing)} parts of its encoder (first: "
            f"{missing[:3]}); give one that AutoModel can load whole."
        )
    return encoder


def _train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    from hf_select.demo.model import train_tokenizer

    return train_tokenizer(texts, _VOCABULARY)


def _build_encoder(tokenizer: PreTrainedTokenizerFast, max_length: int) -> nn.Module:
    """A small RoBERTa with random weights."""
    from transformers import RobertaConfig, RobertaModel

    padding = int(tokenizer.pad_token_id)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        intermediate_size=2 * _WIDTH,
        max_position_embeddings=max_length + padding + 1,  # RoBERTa counts positions from behind that of padding
        type_vocab_size=1,
        initializer_range=0.06,  # suits this width; the usual 0.02 learns slower
        pad_token_id=padding,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return RobertaModel(config, add_pooling_layer=False)
