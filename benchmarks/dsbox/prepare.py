"""Inputs of the comparison on Devign: the two splits as files, and the distilled CodeBERT with a new head.

python -m benchmarks.dsbox.prepare --devign DEVIGN.jsonl.gz --encoder ENCODER_FOLDER --output_dir inputs

``DEVIGN.jsonl.gz`` holds rows of Devign with ``func``, ``target``, ``split`` (``valid`` is the pool, ``test`` the test
rows); ``ENCODER_FOLDER`` a ``RobertaForSequenceClassification`` that was trained on Devign's own train split, which is
why its head is drawn anew here. (Its body still knows those rows: the table says what selection adds to that.)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devign", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--n_test", type=int, default=600, help="test rows, drawn from the test split")
    parser.add_argument("--seed", type=int, default=0, help="of the new head and of the test rows")
    args = parser.parse_args()
    args.output_dir.mkdir(parents=True, exist_ok=True)
    rows = load_dataset("json", data_files=str(args.devign), split="train")
    for split, name in (("valid", "pool"), ("test", "test")):
        part = rows.filter(lambda row, split=split: row["split"] == split).select_columns(["func", "target", "project"])
        part = part if split == "valid" else part.shuffle(seed=args.seed).select(range(args.n_test))
        part.to_json(args.output_dir / f"{name}.jsonl")
        print(f"{name}: {len(part)} rows, {sum(part['target'])} of class 1")
    model = AutoModelForSequenceClassification.from_pretrained(args.encoder)
    torch.manual_seed(args.seed)
    for module in model.classifier.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=model.config.initializer_range)
            torch.nn.init.zeros_(module.bias)
    model.save_pretrained(args.output_dir / "encoder")
    AutoTokenizer.from_pretrained(args.encoder).save_pretrained(args.output_dir / "encoder")


if __name__ == "__main__":
    main()
