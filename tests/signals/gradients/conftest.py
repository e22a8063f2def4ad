"""The truth: gradients of one row after the other by autograd, of losses written out here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_select.signals.gradients.loss import LabelLoss, ResponseLoss
from hf_select.signals.plan import Segment
from hf_select.signals.way import find_way

Gradients = dict[str, torch.Tensor]


@pytest.fixture(scope="session")
def some_segments() -> list[Segment]:
    """7 segments of 2 to 25 tokens, all with a target."""
    rng = np.random.default_rng(5)
    segments = []
    for length in (2, 25, 9, 9, 17, 4, 12):
        ids = rng.integers(2, 300, length).astype(np.int32)
        border = int(rng.integers(1, length))
        segments.append(Segment(ids[:border], ids[border:]))
    return segments


@pytest.fixture(scope="session")
def some_texts() -> tuple[list[np.ndarray], list[int]]:
    """5 texts of 3 to 14 tokens and their classes."""
    rng = np.random.default_rng(6)
    texts = [rng.integers(2, 300, length).astype(np.int32) for length in (3, 14, 8, 8, 11)]
    return texts, [0, 2, 1, 1, 0]


@pytest.fixture(scope="session")
def response_loss(some_segments) -> Callable[..., ResponseLoss]:
    def make(model: Any, segments: list[Segment] = some_segments) -> ResponseLoss:
        return ResponseLoss(model, find_way(model), segments)

    return make


@pytest.fixture(scope="session")
def looped_gradients() -> Callable[..., list[Gradients]]:
    """One gradient per row, for the parameters of these names, in the dtype of the model."""

    def loop(loss: ResponseLoss | LabelLoss, names: list[str]) -> list[Gradients]:
        model = loss.model.eval()
        named = dict(model.named_parameters())
        flags = {name: parameter.requires_grad for name, parameter in named.items()}
        for parameter in named.values():
            parameter.requires_grad_(True)
        rows = []
        for row in range(len(loss.lengths)):
            value = _response(loss, row) if isinstance(loss, ResponseLoss) else _class(loss, row)
            found = torch.autograd.grad(value, [named[name] for name in names], allow_unused=True)
            rows.append(
                {
                    name: torch.zeros_like(named[name]) if part is None else part
                    for name, part in zip(names, found, strict=True)
                }
            )
        for name, parameter in named.items():
            parameter.requires_grad_(flags[name])
        return rows

    return loop


def _response(loss: ResponseLoss, row: int) -> torch.Tensor:
    context, target = loss.segments[row]
    ids = torch.from_numpy(np.concatenate([context, target]).astype(np.int64))
    logits = loss.model(input_ids=ids[None], use_cache=False).logits[0, len(context) - 1 : -1]
    return F.cross_entropy(logits, ids[len(context) :])


def _class(loss: LabelLoss, row: int) -> torch.Tensor:
    ids = torch.from_numpy(loss.texts[row].astype(np.int64))
    logits = loss.model(input_ids=ids[None]).logits
    return F.cross_entropy(logits, torch.tensor([loss.labels[row]]))


@pytest.fixture(scope="session")
def flat() -> Callable[[list[Gradients]], torch.Tensor]:
    """``(n, P)``, in float64."""
    return lambda rows: torch.stack([torch.cat([part.double().flatten() for part in row.values()]) for row in rows])


@pytest.fixture(scope="session")
def make_lora(make_model) -> Callable[..., Any]:
    """A Llama with LoRA on queries and values whose B is not 0."""

    def make(**fields: Any) -> Any:
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM", **fields
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return get_peft_model(make_model("llama"), config)

    return make


@pytest.fixture(scope="session")
def train() -> Callable[..., Any]:
    """A Trainer after two epochs of three steps, with a checkpoint after each."""

    def run(model: Any, folder: Path, **arguments: Any) -> Any:
        from transformers import Trainer, TrainingArguments

        rng = np.random.default_rng(2)
        ids = [rng.integers(2, 300, 10).tolist() for _ in range(12)]
        settings = {
            "output_dir": str(folder),
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-2,
            "weight_decay": 0.1,
            "logging_steps": 1,
            "save_strategy": "epoch",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
        }
        dataset = [{"input_ids": row, "labels": row} for row in ids]
        trainer = Trainer(model, TrainingArguments(**{**settings, **arguments}), train_dataset=dataset)
        trainer.train()
        return trainer

    return run


@pytest.fixture(scope="session")
def lora_run(make_lora: Callable[..., Any], train: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Trainer of a LoRA adapter, and its two checkpoints."""
    import warnings

    folder = tmp_path_factory.mktemp("lora")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft reads old names
        trainer = train(make_lora(), folder)
    return trainer, [folder / "checkpoint-3", folder / "checkpoint-6"]


@pytest.fixture(scope="session")
def whole_run(
    make_model: Callable[..., Any], train: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A Trainer of all weights of a model with biases, normalisations and a tied head, and its two checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = train(make_model("gpt2"), folder)
    return trainer, [folder / "checkpoint-3", folder / "checkpoint-6"]
