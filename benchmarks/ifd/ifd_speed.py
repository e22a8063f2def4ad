r"""IFD: this library against the plain way, two forward passes per row at batch size 1.

OMP_NUM_THREADS=1 python -m benchmarks.ifd.ifd_speed
python -m benchmarks.ifd.ifd_speed --device cuda --dtype bfloat16 --hidden 2048 --layers 16 --heads 16 \
    --vocab_size 32000 --max_tokens_per_batch 16384 --output benchmarks/ifd/ifd_speed_cuda.json
OMP_NUM_THREADS=1 python -m benchmarks.ifd.ifd_speed --codeact CodeACT/CDAS/calculate_ifd.py \
    --cherry Cherry_LLM/cherry_seletion/data_analysis.py

Both sides start at the dataset and tokenise themselves. Their turns alternate; each side's time is its best turn:
processor seconds on the CPU, wall seconds on a GPU. The plain way is the form of the published scripts (Cherry,
CodeACT): tokenise a row, run the model on prompt + response with the prompt masked, then on the response alone.
``--codeact`` and ``--cherry`` also time the published functions themselves, from a copy of their repositories; what
they score differs a little from the plain way (their alone pass begins elsewhere), so only their time is compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
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


def codeact(
    dataset: Dataset, model: Any, tokenizer: PreTrainedTokenizerFast, max_length: int, script: Any
) -> np.ndarray:
    """log IFD of every row, by CodeACT's own function."""
    found = [
        script.calculate_ifd(tokenizer, model, row["prompt"], row["completion"], max_length) for row in dataset
    ]  # fmt: skip
    return np.log(found)


def cherry(
    dataset: Dataset, model: Any, tokenizer: PreTrainedTokenizerFast, max_length: int, script: Any
) -> np.ndarray:
    """log IFD of every row, by Cherry's own function, called as its script calls it."""
    script.device = model.device
    found = []
    for row in dataset:
        n_prompt = tokenizer.encode(row["prompt"], return_tensors="pt").shape[1]
        perplexities = [
            script.get_perplexity_and_embedding_part_text(tokenizer, model, text, row["completion"], limit)[0]
            for text, limit in (
                (f"### Response:{row['completion']}", max_length - n_prompt + 4),
                (f"{row['prompt']}\n\n### Response:{row['completion']}", max_length),
            )
        ]
        found.append(float(torch.log(perplexities[1] / perplexities[0])))
    return np.asarray(found)


def load_script(path: Path) -> Any:
    """A published script, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file; give the path of the published script.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    found: dict[str, np.ndarray] = {}
    runs = {
        "plain": lambda: plain(dataset, model, tokenizer, args.max_length),
        "packed": lambda: packed(dataset, model, tokenizer, args.max_tokens_per_batch),
    }
    for run, path in ((codeact, args.codeact), (cherry, args.cherry)):
        if path is not None:
            runs[run.__name__] = partial(run, dataset, model, tokenizer, args.max_length, load_script(path))
    turns: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.n_turns):
        for name, run in runs.items():
            seconds, found[name] = seconds_of(run, clock)
            turns[name].append(seconds)
    ratios = {name: sorted(np.asarray(seconds) / np.asarray(turns["packed"])) for name, seconds in turns.items()}
    ranks = [np.argsort(np.argsort(found[name])) for name in ("plain", "packed")]
    peers = {
        name: {
            "seconds": round(min(turns[name]), 3),
            "speedup": round(min(turns[name]) / min(turns["packed"]), 2),
            "speedup_by_turn": [round(float(ratio), 2) for ratio in ratios[name]],
        }
        for name in turns
        if name not in ("plain", "packed")
    }
    return {
        "mix": mix,
        "n_rows": len(dataset),
        "plain_seconds": round(min(turns["plain"]), 3),
        "packed_seconds": round(min(turns["packed"]), 3),
        "speedup": round(min(turns["plain"]) / min(turns["packed"]), 2),
        "speedup_by_turn": [round(float(ratio), 2) for ratio in ratios["plain"]],
        "largest_difference": float(f"{np.abs(found['plain'] - found['packed']).max():.1e}"),
        "spearman": round(float(np.corrcoef(*ranks)[0, 1]), 6),
        **({"peers": peers} if peers else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--n_rows", type=int, default=160)
    parser.add_argument("--n_turns", type=int, default=7)
    parser.add_argument("--max_length", type=int, default=2048)
    parser.add_argument("--max_tokens_per_batch", type=int, default=4096)
    parser.add_argument("--vocab_size", type=int, default=2048)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--mixes", nargs="*", default=list(MIXES), choices=list(MIXES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--codeact", type=Path, help="CodeACT's calculate_ifd.py, to time its own function too")
    parser.add_argument("--cherry", type=Path, help="Cherry's data_analysis.py, to time its own function too")
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
    settings = {name: value for name, value in vars(args).items() if name not in ("output", "codeact", "cherry")}
    machine = {
        "threads": torch.get_num_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "gpu": torch.cuda.get_device_name() if args.device != "cpu" else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    speedups = {run["mix"]: run["speedup"] for run in runs}
    instruction = next((run for run in runs if run["mix"] == "instruction"), {})
    goals = {"never slower than the plain way": min(speedups.values()) >= 1.0}
    for name, peer in instruction.get("peers", {}).items():
        goals[f"1.3 times as fast as {name}'s own function on instruction rows"] = peer["speedup"] >= 1.3
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
