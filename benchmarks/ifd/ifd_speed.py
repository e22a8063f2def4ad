r"""IFD: this library against the plain way, two forward passes per row at batch size 1.

OMP_NUM_THREADS=1 python -m benchmarks.ifd.ifd_speed
python -m benchmarks.ifd.ifd_speed --device cuda --dtype bfloat16 --hidden 2048 --layers 16 --heads 16 \
    --vocab_size 32000 --max_tokens_per_batch 16384 --output benchmarks/ifd/ifd_speed_cuda.json

Both sides start at the dataset and tokenise themselves. Their turns alternate; each side's time is its best turn:
processor seconds on the CPU, wall seconds on a GPU. The plain way is the form of the published scripts (Cherry,
CodeACT): tokenise a row, run the model on prompt + response with the prompt masked, then on the response alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from benchmarks.ifd.corpus import MIXES, make_rows, make_tokenizer
from hf_select.demo.model import build_model
from hf_select.extract import extract
from hf_select.signals.keys import ANSWER_ALONE_NLL, RESPONSE_NLL
from hf_select.signals.table import Signals


@torch.no_grad()
def plain(dataset: Dataset, model: Any, tokenizer: PreTrainedTokenizerFast, max_length: int) -> np.ndarray:
    """log IFD of every row, one row at a time."""

    def loss(context: list[int], target: list[int]) -> float:
        input_ids = torch.tensor([context + target], device=model.device)
        labels = torch.tensor([[-100] * len(context) + target], device=model.device)
        return float(model(input_ids=input_ids, labels=labels).loss)

    found = []
    for row in dataset:
        prompt = tokenizer(f"Question:\n{row['prompt']}\n\nAnswer:\n").input_ids
        response = tokenizer(row["completion"]).input_ids[: max_length - len(prompt)]
        found.append(loss(prompt, response) - loss([tokenizer.eos_token_id], response))
    return np.asarray(found)


def packed(dataset: Dataset, model: Any, tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> np.ndarray:
    """log IFD of every row, by this library; nothing is stored or reused."""
    needs = (RESPONSE_NLL, ANSWER_ALONE_NLL)
    extracted = extract(
        dataset,
        needs,
        model=model,
        tokenizer=tokenizer,
        max_tokens_per_batch=max_tokens,
        cache_dir=False,
        progress=False,
    )
    signals = Signals.from_dataset(extracted, needs)
    return signals[RESPONSE_NLL] - signals[ANSWER_ALONE_NLL]


def seconds_of(run: Callable[[], np.ndarray], clock: Callable[[], float]) -> tuple[float, np.ndarray]:
    """Time of one turn, and what it found."""
    start = clock()
    found = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start, found


def measure(mix: str, model: Any, tokenizer: PreTrainedTokenizerFast, args: argparse.Namespace) -> dict[str, Any]:
    """One line of the table."""
    dataset = make_rows(tokenizer, mix, args.n_rows, args.max_length, args.seed)
    clock = time.process_time if args.device == "cpu" else time.perf_counter
    turns: dict[str, list[float]] = {"plain": [], "packed": []}
    found: dict[str, np.ndarray] = {}
    runs = {
        "plain": lambda: plain(dataset, model, tokenizer, args.max_length),
        "packed": lambda: packed(dataset, model, tokenizer, args.max_tokens_per_batch),
    }
    for _ in range(args.n_turns):
        for name, run in runs.items():
            seconds, found[name] = seconds_of(run, clock)
            turns[name].append(seconds)
    ratios = sorted(np.asarray(turns["plain"]) / np.asarray(turns["packed"]))
    ranks = [np.argsort(np.argsort(values)) for values in found.values()]
    return {
        "mix": mix,
        "n_rows": len(dataset),
        "plain_seconds": round(min(turns["plain"]), 3),
        "packed_seconds": round(min(turns["packed"]), 3),
        "speedup": round(min(turns["plain"]) / min(turns["packed"]), 2),
        "speedup_by_turn": [round(float(ratio), 2) for ratio in ratios],
        "largest_difference": float(f"{np.abs(found['plain'] - found['packed']).max():.1e}"),
        "spearman": round(float(np.corrcoef(*ranks)[0, 1]), 6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--n_rows", type=int, default=48)
    parser.add_argument("--n_turns", type=int, default=7)
    parser.add_argument("--max_length", type=int, default=2048)
    parser.add_argument("--max_tokens_per_batch", type=int, default=4096)
    parser.add_argument("--vocab_size", type=int, default=2048)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--mixes", nargs="*", default=list(MIXES), choices=list(MIXES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    tokenizer = make_tokenizer(args.vocab_size)
    model = build_model(
        tokenizer, hidden=args.hidden, layers=args.layers, heads=args.heads, max_length=args.max_length,
        intermediate_size=4 * args.hidden, vocab_size=args.vocab_size, tie_word_embeddings=False,
    )  # fmt: skip
    model = model.to(args.device, getattr(torch, args.dtype)).eval()
    runs = []
    for mix in args.mixes:
        runs.append(measure(mix, model, tokenizer, args))
        print(runs[-1])
    settings = {name: value for name, value in vars(args).items() if name != "output"}
    machine = {
        "threads": torch.get_num_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "gpu": torch.cuda.get_device_name() if args.device != "cpu" else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    speedups = {run["mix"]: run["speedup"] for run in runs}
    goals = {
        "never slower than the plain way": min(speedups.values()) >= 1.0,
        "1.3 times as fast on instruction rows": speedups.get("instruction", 0.0) >= 1.3,
    }
    if args.dtype == "float32":
        goals["log IFD equal to 1e-5"] = max(run["largest_difference"] for run in runs) <= 1e-5
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.ifd.ifd_speed", *sys.argv[1:]]),
        "settings": settings, "machine": machine, "runs": runs, "goals": goals,
    }  # fmt: skip
    args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(goals)


if __name__ == "__main__":
    main()
