"""A classifier and the head that predicts its loss, trained together.

    texts ──> classifier ──> cross-entropy ──────────────┐
                  │ hidden states                         ├──> sum
                  └──(cut after 60 % of the epochs)──> head ──> ranking loss

At first the head shapes the states that it reads; after the cut it learns alone, so that it does not keep the
classifier from its own task.

Source: Yoo & Kweon 2019, "Learning Loss for Active Learning", section 4.1 (weight 1, margin 1; the gradient is cut
after 120 of 200 epochs).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import TrainerCallback, TrainerControl, TrainerState

from hf_select.errors import ModelError
from hf_select.signals.loss_head import LossHead, ranking_loss

CUT_FRACTION = 0.6
"""Share of the epochs after which the gradient of the head no longer reaches the classifier."""

_FILE = "loss_head.safetensors"


class JointLoss(torch.nn.Module):
    """A classifier with its loss head, as one module for the ``Trainer``.

    Args:
        model: a sequence classifier.
        head: the head; made for that model.
        weight: of the ranking loss in the sum.

    Attributes:
        is_cut: whether the gradient of the head stops before the classifier.
    """

    def __init__(self, model: Any, head: LossHead, *, weight: float = 1.0) -> None:
        super().__init__()
        self.model, self.head, self.weight = model, head, weight
        self.is_cut = False

    def forward(self, labels: torch.Tensor, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """The sum of both losses.

        Args:
            labels: ``(n,)`` classes.
            **inputs: what the classifier reads, ``attention_mask`` among it.

        Returns:
            ``loss`` and ``logits``.
        """
        outputs = self.model(**inputs, output_hidden_states=True)
        losses = F.cross_entropy(outputs.logits.float(), labels, reduction="none")
        pooled = self.head.pool(outputs.hidden_states, inputs["attention_mask"])
        predicted = self.head(pooled.detach() if self.is_cut else pooled)
        return {"loss": losses.mean() + self.weight * ranking_loss(predicted, losses), "logits": outputs.logits}


class CutGradient(TrainerCallback):
    """Cuts the gradient of the head off from the classifier after a share of the epochs.

    Args:
        joint: the module that is trained.
        fraction: the share.
    """

    def __init__(self, joint: JointLoss, fraction: float = CUT_FRACTION) -> None:
        self.joint, self.fraction = joint, fraction

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Look whether it is time."""
        self.joint.is_cut = state.global_step >= self.fraction * state.max_steps


def save_loss_head(head: LossHead, folder: Path) -> None:
    """Write the weights of a head beside those of its model.

    Args:
        head: the head.
        folder: where the model lies.
    """
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in head.state_dict().items()}, folder / _FILE)


def load_loss_head(folder: Path, model: torch.nn.Module) -> LossHead:
    """Read what ``save_loss_head`` wrote.

    Args:
        folder: where it was written.
        model: the model that the head was trained with.

    Returns:
        The head, in evaluation mode.

    Raises:
        ModelError: if there is no head in the folder.
    """
    from safetensors.torch import load_file

    if not (folder / _FILE).is_file():
        raise ModelError(f"{folder} holds no {_FILE}; train the head with warm_up(..., with_loss_head=True).")
    head = LossHead.for_model(model)
    head.load_state_dict(load_file(folder / _FILE))
    return head.eval()
