"""Row by row inside ``model.generate``: what each row draws, and when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RowSampler:
    """A logits processor after which the largest logit is a draw of its row's own generator.

        argmax(logits / temperature + Gumbel noise)  ~  softmax(logits / temperature)

    restricted to the smallest set of tokens whose probability reaches ``top_p``. Temperature 0 adds nothing.
    """

    def __init__(self, seeds: Sequence[tuple[int, ...]], temperature: float, top_p: float, n_tokens: int) -> None:
        """Prepare a generator for every row.

        Args:
            seeds: (B,) what the draws of each row depend on.
            temperature: 0 for greedy decoding.
            top_p: in (0, 1].
            n_tokens: ids from here on are padding of the vocabulary and never drawn.
        """
        self._seeds = seeds
        self._temperature = temperature
        self._top_p = top_p
        self._n_tokens = n_tokens
        self._generators: list[torch.Generator] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Turn logits into scores whose argmax is the draw.

        Args:
            input_ids: (B, T) not looked at.
            scores: (B, V) logits.

        Returns:
            (B, V) scores.
        """
        del input_ids
        scores = scores.float().clone()
        scores[:, self._n_tokens :] = -torch.inf
        if self._temperature == 0:
            return scores
        scores = self._nucleus(scores / self._temperature)
        if not self._generators:
            self._generators = [
                torch.Generator(scores.device).manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
                for seed in self._seeds
            ]
        noise = torch.empty_like(scores)
        for row, generator in zip(noise, self._generators, strict=True):
            row.exponential_(generator=generator)
        return scores - noise.clamp_min(torch.finfo(noise.dtype).tiny).log()

    def _nucleus(self, scores: torch.Tensor) -> torch.Tensor:
        """Only the most probable tokens that together reach ``top_p``, the one that reaches it included."""
        if self._top_p >= 1:
            return scores
        ordered, order = scores.sort(dim=-1, descending=True, stable=True)
        probability = ordered.softmax(dim=-1)
        beyond = probability.cumsum(dim=-1) - probability >= self._top_p
        return scores.masked_fill(beyond.scatter(-1, order, beyond), -torch.inf)


class RowStop:
    """A stopping criterion: a row is done at its own limit, or when its new text contains a stop string."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, n_prompt_tokens: int, max_new: Sequence[int], stop: Sequence[str]
    ) -> None:
        """Prepare.

        Args:
            tokenizer: decodes the new tokens.
            n_prompt_tokens: where the new tokens begin.
            max_new: (B,) tokens that each row may add.
            stop: the strings.
        """
        self._tokenizer = tokenizer
        self._n_prompt_tokens = n_prompt_tokens
        self._max_new = torch.tensor(max_new)
        self._stop = tuple(stop)
        # A stop string of n bytes ends in the last n tokens; some more for tokens that decode to nothing.
        self._n_tail = max((len(string.encode()) for string in stop), default=0) + 8
        self._done = torch.zeros(len(max_new), dtype=torch.bool)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Which rows are done.

        Args:
            input_ids: (B, T) prompts and what was generated so far.
            scores: not looked at.

        Returns:
            (B,) truth values.
        """
        del scores
        n_new = input_ids.shape[1] - self._n_prompt_tokens
        self._done |= n_new >= self._max_new
        open_rows = (~self._done).nonzero().flatten().tolist()
        if self._stop and open_rows:
            tails = input_ids[open_rows, max(self._n_prompt_tokens, input_ids.shape[1] - self._n_tail) :]
            texts = self._tokenizer.batch_decode(tails, skip_special_tokens=True)
            for row, text in zip(open_rows, texts, strict=True):
                self._done[row] = any(string in text for string in self._stop)
        return self._done.to(input_ids.device)
