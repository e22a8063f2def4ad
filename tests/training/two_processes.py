"""Launched by test_two_processes.py: trains a tiny model on padded and on packed batches, and writes both losses.

accelerate launch --multi_gpu --num_processes 2 tests/training/two_processes.py LOSSES.json
"""

import gc
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from hf_select.training import DynamicPackCollator, PaddingCollator, packed_attention


def rows() -> list[dict[str, list[int]]]:
    rng = np.random.default_rng(0)
    found = []
    for length in rng.lognormal(2.8, 0.7, 160).astype(int).clip(4, 60):
        ids = rng.integers(2, 97, length).tolist()
        found.append({"input_ids": ids, "labels": [-100] * (length // 3) + ids[length // 3 :]})
    return found


def train(collator: Any, packed: bool, folder: Path) -> tuple[list[float], Any]:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=1, initializer_range=0.2,
        )
    )  # fmt: skip
    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=20,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        ddp_find_unused_parameters=False,
    )
    assert args.world_size == int(os.environ["WORLD_SIZE"]) == 2
    trainer = Trainer(model, args, train_dataset=rows(), data_collator=collator)
    with packed_attention(model) if packed else nullcontext():
        trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry], trainer


def main(path: Path) -> None:
    tokenizer: Any = SimpleNamespace(pad_token_id=0, eos_token_id=1)
    losses = {}
    losses["padded"], _ = train(PaddingCollator(tokenizer, 64), False, path.parent)
    for layout in ("rows", "flat"):
        losses[layout], trainer = train(DynamicPackCollator(tokenizer, 64, layout=layout), True, path.parent)
    if trainer.accelerator.is_main_process:
        path.write_text(json.dumps(losses))
    accelerator = trainer.accelerator
    del trainer  # what refers to the process group goes before the group does, on both ranks together
    gc.collect()
    accelerator.wait_for_everyone()
    accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
