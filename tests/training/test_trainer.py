"""The stock Trainer on packed batches takes the same steps as on padded ones."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_select.training import DynamicPackCollator, PaddingCollator, packed_attention

pytestmark = [
    pytest.mark.slow,
    # PEFT and the Trainer itself use the older of two names.
    pytest.mark.filterwarnings("ignore:.*activation_checkpointing:FutureWarning"),
]
N_STEPS = 20


@pytest.fixture(scope="module")
def dataset() -> list[dict[str, list[int]]]:
    """Log-normal lengths up to 60 tokens, a masked prompt first."""
    rng = np.random.default_rng(0)
    rows = []
    for length in rng.lognormal(2.8, 0.7, 160).astype(int).clip(4, 60):
        ids = rng.integers(2, 97, length).tolist()
        rows.append({"input_ids": ids, "labels": [-100] * (length // 3) + ids[length // 3 :]})
    return rows


def train(model: Any, dataset: Any, collator: Any, folder: Path, **arguments: Any) -> tuple[list[float], float]:
    """Losses of all steps, and the evaluation loss after them."""
    from transformers import Trainer, TrainingArguments

    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=N_STEPS,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        gradient_accumulation_steps=2,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **arguments,
    )
    trainer = Trainer(model, args, train_dataset=dataset, eval_dataset=dataset[:8], data_collator=collator)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses, trainer.evaluate()["eval_loss"]


@pytest.fixture(scope="module")
def padded(tiny_model: Callable[..., Any], dataset: Any, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The yardstick: padded batches."""
    from types import SimpleNamespace

    tokenizer: Any = SimpleNamespace(pad_token_id=0, eos_token_id=1)
    losses, _ = train(tiny_model(), dataset, PaddingCollator(tokenizer, 64), tmp_path_factory.mktemp("padded"))
    assert len(losses) == N_STEPS
    assert losses[-1] < losses[0] - 0.1, "something must be learned, or equal losses say nothing"
    return losses


@pytest.mark.parametrize(
    ("attention", "layout", "algorithm"),
    [
        ("packed", "rows", "multifit"),
        ("packed", "rows", "next_fit"),
        ("packed", "flat", "multifit"),
        ("sdpa", "rows", "multifit"),
        ("sdpa", "flat", "multifit"),
        ("eager", "rows", "multifit"),
    ],
)
def test_losses_equal_those_of_padding(
    tiny_model: Callable[..., Any],
    dataset: Any,
    tokenizer: Any,
    padded: Any,
    tmp_path: Path,
    attention: str,
    layout: Any,
    algorithm: Any,
) -> None:
    collator = DynamicPackCollator(tokenizer, 64, layout=layout, algorithm=algorithm)
    model = tiny_model("llama", "sdpa" if attention == "packed" else attention)
    with packed_attention(model) if attention == "packed" else nullcontext():
        losses, eval_loss = train(model, dataset, collator, tmp_path)
    assert losses == pytest.approx(padded, abs=1e-4)
    assert np.isfinite(eval_loss)
    assert collator.stats.n_samples >= N_STEPS * 8


@pytest.mark.parametrize("n_workers", [0, 1])
def test_gradient_checkpointing_and_workers(
    tiny_model: Callable[..., Any], dataset: Any, tokenizer: Any, padded: Any, tmp_path: Path, n_workers: int
) -> None:
    model = tiny_model()
    collator = DynamicPackCollator(tokenizer, 64, layout="flat")
    with packed_attention(model):
        losses, _ = train(
            model, dataset, collator, tmp_path, gradient_checkpointing=True, dataloader_num_workers=n_workers
        )
    assert losses == pytest.approx(padded, abs=1e-4)
    assert (collator.stats.n_samples > 0) == (n_workers == 0), "workers count in copies of their own"


def test_lora(tiny_model: Callable[..., Any], dataset: Any, tokenizer: Any, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    def adapted() -> Any:
        torch.manual_seed(0)
        return get_peft_model(tiny_model(), LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))

    expected, _ = train(adapted(), dataset, PaddingCollator(tokenizer, 64), tmp_path)
    model = adapted()
    with packed_attention(model):
        losses, _ = train(model, dataset, DynamicPackCollator(tokenizer, 64), tmp_path)
    assert expected[0] != expected[-1]
    assert losses == pytest.approx(expected, abs=1e-4)


def test_truncation_does_not_stop_a_trainer(
    tiny_model: Callable[..., Any], dataset: Any, tokenizer: Any, tmp_path: Path
) -> None:
    model, collator = tiny_model(), DynamicPackCollator(tokenizer, 48)
    with packed_attention(model), pytest.warns(UserWarning, match="longer than max_length"):
        losses, _ = train(model, dataset, collator, tmp_path)
    with pytest.warns(UserWarning, match="longer than max_length"):
        expected, _ = train(tiny_model(), dataset, PaddingCollator(tokenizer, 48), tmp_path)
    assert losses == pytest.approx(expected, abs=1e-4)
    assert collator.n_truncated > 0
