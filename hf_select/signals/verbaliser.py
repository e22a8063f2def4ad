"""Classes as words that a language model can be asked for: their tokens, and how likely each word is as a whole.

A class is verbalised by its number. All are written with the same number of digits, so that none begins with another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ModelError
from hf_select.signals.plan import TokenIds

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Verbaliser:
    """The words of the classes.

    Words that differ in their last token alone share one reading of the tokens before it.

    Attributes:
        words: tokens of each class's word, class by class.
    """

    words: tuple[tuple[int, ...], ...]

    @cached_property
    def targets(self) -> list[TokenIds]:
        """The targets after which, read one after the other, every token of every word has been asked for."""
        targets = {word[:-1]: word for word in reversed(self.words)}
        return [np.asarray(word, dtype=np.int32) for word in targets.values()]

    @cached_property
    def candidates(self) -> list[int]:
        """All tokens of all words, ``K`` of them."""
        return sorted({token for word in self.words for token in word})

    @property
    def n_positions(self) -> int:
        """Tokens of all targets."""
        return sum(len(target) for target in self.targets)

    def log_probabilities(self, read: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of the probability of each word, the sum over its tokens.

        Args:
            read: ``(n, n_positions, K)`` log probabilities of the candidates at the positions of all targets.

        Returns:
            ``(n, C)``.
        """
        starts, first = {}, 0
        for target in self.targets:
            starts[tuple(target[:-1].tolist())] = first
            first += len(target)
        sums = []
        for word in self.words:
            positions = starts[word[:-1]] + np.arange(len(word))
            sums.append(read[:, positions, [self.candidates.index(token) for token in word]].sum(axis=1))
        return np.stack(sums, axis=1)


def verbalise(classes: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> Verbaliser:
    """The words of some classes.

    Args:
        classes: their numbers.
        tokenizer: of the language model.

    Returns:
        Their words, in the same order.

    Raises:
        ModelError: if the tokenizer writes two of them alike.
    """
    width = len(str(max(classes)))
    texts = [f" {number:0{width}d}" for number in classes]
    words = tuple(tuple(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])
    if len(set(words)) < len(words) or not all(words):
        raise ModelError(
            f"The tokenizer of the language model does not tell the class numbers {list(classes)} apart: it has no "
            f"tokens for digits. Give another companions.language_model."
        )
    return Verbaliser(words)
