"""Make the inputs of the CodeACT benchmark: one file of instruction rows, and a small Llama trained on source files.

    python benchmarks/codeact/prepare.py --data ../shared/data --output runs/codeact_inputs

The rows are the two MIT sets of ``--data``/instruct (exercism, GPTeacher Codegen); the model learns from
``--data``/sources. Both stay in the output folder, outside the repository.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

SETS = ("exercism", "gpteacher_codegen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the real data sets")
    parser.add_argument("--output", type=Path, default=Path("runs/codeact_inputs"))
    parser.add_argument("--languages", default="python", help="source languages to learn from, separated by commas")
    parser.add_argument("--vocab_size", type=int, default=4096)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--max_length", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch_tokens", type=int, default=8192, help="tokens of one optimiser step")
    parser.add_argument("--learning_rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.output.mkdir(parents=True, exist_ok=True)
    n_rows = write_rows(arguments.data / "instruct", arguments.output / "instruct.jsonl")
    print(f"{n_rows} instruction rows in {arguments.output / 'instruct.jsonl'}")
    train_base(arguments)


def write_rows(folder: Path, target: Path) -> int:
    """Both sets in one file, with the columns that both have."""
    rows = [row for name in SETS for row in read_lines(folder / f"{name}.jsonl.gz")]
    kept = [{name: row[name] or "" for name in ("instruction", "input", "output")} for row in rows if row["output"]]
    target.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    return len(kept)


def read_lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def train_base(arguments: argparse.Namespace) -> None:
    """Train a tokenizer and a small Llama on source files, with the collator of this library."""
    import torch
    from transformers import Trainer, TrainingArguments

    from hf_select.demo import build_model, train_tokenizer
    from hf_select.training import DynamicPackCollator, packed_attention

    folder = arguments.data / "sources"
    languages = arguments.languages.split(",")
    texts = [row["content"] for language in languages for row in read_lines(folder / f"{language}.jsonl.gz")]
    tokenizer = train_tokenizer(texts[:2000], arguments.vocab_size)
    limit = arguments.max_length
    encoded = tokenizer(texts, verbose=False)["input_ids"]
    pieces = [ids[at : at + limit] for ids in encoded for at in range(0, len(ids), limit) if len(ids) - at > 16]
    n_tokens = sum(map(len, pieces))
    rows_per_step = max(1, round(arguments.batch_tokens / (n_tokens / len(pieces))))
    model = build_model(
        tokenizer,
        arguments.seed,
        hidden=arguments.hidden,
        layers=arguments.layers,
        heads=max(4, arguments.hidden // 64),
        max_length=2 * limit,
        init_std=0.02,
    )
    n_parameters = model.num_parameters()
    on_gpu = torch.cuda.is_available()
    settings = TrainingArguments(
        output_dir=str(arguments.output / "base"),
        max_steps=arguments.steps,
        per_device_train_batch_size=rows_per_step,
        learning_rate=arguments.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        weight_decay=0.1,
        adam_beta2=0.95,
        logging_steps=max(1, min(20, arguments.steps // 5)),
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        dataloader_pin_memory=on_gpu,
        seed=arguments.seed,
    )
    features = [{"input_ids": piece, "labels": piece} for piece in pieces]
    collator = DynamicPackCollator(tokenizer, limit, layout="flat")
    if not on_gpu:
        torch.set_num_threads(os.cpu_count() or 1)
    print(f"{n_parameters / 1e6:.1f} M parameters, {n_tokens / 1e6:.1f} M tokens, {rows_per_step} rows a step")
    with packed_attention(model):
        trainer = Trainer(model, settings, train_dataset=features, data_collator=collator)
        trainer.train()
    model.save_pretrained(arguments.output / "base")
    tokenizer.save_pretrained(arguments.output / "base")
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    record = {"n_parameters": n_parameters, "n_tokens": n_tokens, "steps": arguments.steps, "losses": losses}
    (arguments.output / "base.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; model in {arguments.output / 'base'}")


if __name__ == "__main__":
    main()
