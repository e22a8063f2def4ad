"""A small head beside a classifier that learns which rows the classifier has a large loss on.

    hidden states at 1/4, 1/2, 3/4 and 1 of the depth
      each: mean over the tokens -> linear to 128 -> ReLU
    all together -> linear -> predicted loss

It learns from pairs of labelled rows which of the two has the larger loss, so its values have the order of losses and
no scale of their own.

Source: Yoo & Kweon 2019, "Learning Loss for Active Learning".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from hf_select.errors import ModelError

_N_HIDDEN = 128
_DEPTHS = (0.25, 0.5, 0.75, 1.0)


class LossHead(torch.nn.Module):
    """Predicts the loss of a text from the hidden states of a classifier.

    Args:
        width: features of a hidden state.
        n_layers: layers of the classifier.
        seed: of the initial weights; the global random state is left as it was found.

    Attributes:
        width: features of a hidden state.
        taps: which hidden states it reads; 0 is the embedding, ``n_layers`` the last.
    """

    def __init__(self, width: int, n_layers: int, *, seed: int = 0) -> None:
        super().__init__()
        self.width = width
        self.taps = tuple(sorted({math.ceil(depth * n_layers) for depth in _DEPTHS}))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators too
            self.shrink = torch.nn.ModuleList(torch.nn.Linear(width, _N_HIDDEN) for _ in self.taps)
            self.judge = torch.nn.Linear(_N_HIDDEN * len(self.taps), 1)

    @classmethod
    def for_model(cls, model: torch.nn.Module, *, seed: int = 0) -> LossHead:
        """A head, not yet trained, that fits a classifier.

        Args:
            model: a sequence classifier of transformers, bare or wrapped.
            seed: of the initial weights.

        Returns:
            The head, on the CPU.
        """
        from hf_select.signals.reader import inner_model

        config: Any = inner_model(model).config.get_text_config()
        return cls(config.hidden_size, config.num_hidden_layers, seed=seed)

    def pool(self, hidden_states: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """What the head reads of a batch: the mean state of every text at every tap.

        Args:
            hidden_states: ``n_layers + 1`` states ``(n, T, D)``, as ``output_hidden_states=True`` gives them.
            mask: ``(n, T)`` which tokens are no padding.

        Returns:
            ``(n, taps, D)`` float32.

        Raises:
            ModelError: if the states are not of the model that the head was made for.
        """
        if len(hidden_states) <= self.taps[-1] or hidden_states[0].shape[-1] != self.width:
            raise ModelError(
                f"The loss head reads states of width {self.width} up to layer {self.taps[-1]}, and the model has "
                f"{len(hidden_states) - 1} layers of width {hidden_states[0].shape[-1]}; train a head for this model "
                f"(train_loss_head)."
            )
        weights = mask[..., None].float()
        means = [(hidden_states[tap].float() * weights).sum(1) / weights.sum(1) for tap in self.taps]
        return torch.stack(means, dim=1)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Predict losses.

        Args:
            pooled: ``(n, taps, D)`` from ``pool``.

        Returns:
            ``(n,)`` predicted losses: larger for a larger loss, without unit.
        """
        parts = [shrink(pooled[:, tap]).relu() for tap, shrink in enumerate(self.shrink)]
        return self.judge(torch.cat(parts, dim=1))[:, 0]  # type: ignore[no-any-return]


def ranking_loss(predicted: torch.Tensor, losses: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """How far predictions are from the order of the losses, over the pairs (first, last), (second, last but one), ...

    ``mean over pairs of max(0, margin - sgn(l_i - l_j) * (p_i - p_j))``

    Args:
        predicted: ``(n,)`` predicted losses. The last one of an odd number is left out; fewer than two give 0.
        losses: ``(n,)`` true losses; no gradient goes into them.
        margin: by how much the predictions of a pair are to differ.

    Returns:
        Scalar.

    Source:
        Yoo & Kweon 2019, equation 2. A pair of equal losses costs ``margin`` whatever is predicted; the published code
        takes the second of them for the larger.
    """
    n_pairs = len(predicted) // 2
    if not n_pairs:
        return predicted.sum() * 0.0
    first, second = slice(0, n_pairs), torch.arange(2 * n_pairs - 1, n_pairs - 1, -1, device=predicted.device)
    truth = torch.sign(losses[first] - losses[second]).detach()
    return (margin - truth * (predicted[first] - predicted[second])).clamp_min(0).mean()
