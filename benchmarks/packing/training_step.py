"""One training step, forward and backward, by how the batch is laid out: tokens per CPU second and peak memory.

python -m benchmarks.packing.training_step

Batches of eight OSS-like samples, a Llama of 4 layers and hidden size 128, float32, one thread. Each contestant runs in
a process of its own (peak memory is that of the process), contestants take turns, the least CPU time counts.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")  # before numpy and torch read them

import argparse
import json
import resource
import subprocess
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.packing.lengths import draw
from benchmarks.packing.record import goal, write
from hf_select.training import DynamicPackCollator, PaddingCollator, packed_attention

MAX_LENGTH = 2048
VOCABULARY = 2048
CONTESTANTS = ("pad to max_length", "pad to longest", "CodeACT pack", "ours, sdpa rows", "ours, rows", "ours, flat")
OURS = "ours, flat"


def model_of_the_benchmark() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=128, intermediate_size=352, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=MAX_LENGTH, use_cache=False, bos_token_id=1, eos_token_id=1,
        )
    )  # fmt: skip


def batches_of(seed: int, n_batches: int) -> list[list[dict[str, list[int]]]]:
    rng = np.random.default_rng(seed)
    lengths = draw("OSS-like", 8 * n_batches, MAX_LENGTH, rng)
    features = [{"input_ids": rng.integers(2, VOCABULARY, length).tolist()} for length in lengths]
    return [features[i : i + 8] for i in range(0, len(features), 8)]


def codeact_batch(features: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """CodeACT's Dynamic Pack as published: next-fit rows, a mask of ones, positions that run on."""
    batch = DynamicPackCollator(tokenizer(), MAX_LENGTH, algorithm="next_fit")(features)
    return {
        "input_ids": batch["input_ids"],
        "labels": batch["labels"],
        "attention_mask": (batch["input_ids"] != 0).long(),
    }


def tokenizer() -> Any:
    """All that a collator asks of a tokenizer."""
    return SimpleNamespace(pad_token_id=0, eos_token_id=1)


def batch_of(contestant: str, features: list[dict[str, list[int]]]) -> dict[str, Any]:
    if contestant == "pad to max_length":
        return PaddingCollator(tokenizer(), MAX_LENGTH, padding="max_length")(features)
    if contestant == "pad to longest":
        return PaddingCollator(tokenizer(), MAX_LENGTH)(features)
    if contestant == "CodeACT pack":
        return codeact_batch(features)
    return DynamicPackCollator(tokenizer(), MAX_LENGTH, layout="flat" if "flat" in contestant else "rows")(features)


def step(model: Any, contestant: str, batch: dict[str, Any]) -> None:
    packed = contestant in ("ours, rows", "ours, flat")
    with packed_attention(model) if packed else nullcontext():
        model(**batch).loss.backward()
    model.zero_grad(set_to_none=True)


def contest(contestant: str, n_steps: int, seed: int, n_batches: int) -> dict[str, float]:
    """One process: least CPU seconds of a step on each batch, summed, and peak memory."""
    torch.set_num_threads(1)
    model, seconds = model_of_the_benchmark(), 0.0
    for features in batches_of(seed, n_batches):
        times = []
        for _ in range(n_steps):
            start = time.process_time()
            step(model, contestant, batch_of(contestant, features))
            times.append(time.process_time() - start)
        seconds += min(times)
    return {"cpu_seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def differences(seed: int) -> dict[str, dict[str, float]]:
    """Largest difference of a sample's mean loss, and of the gradient of their sum, to running the samples alone."""
    model, features = model_of_the_benchmark(), batches_of(seed, 1)[0]

    def losses_of(batch: dict[str, Any]) -> dict[tuple[int, ...], float]:
        logits, ids, labels = (
            model(**batch).logits.flatten(0, 1),
            batch["input_ids"].flatten(),
            batch["labels"].flatten(),
        )
        targets = labels.roll(-1)
        targets[-1] = -100
        per_token = cross_entropy(logits, targets, reduction="none", ignore_index=-100)
        per_token.sum().backward()
        starts = [
            i for i, (token, label) in enumerate(zip(ids.tolist(), labels.tolist(), strict=True)) if label == -100
        ]
        found = {}
        for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
            if end > start + 1:
                found[tuple(ids[start:end].tolist())] = per_token[start : end - 1].mean().item()
        return found

    def gradient() -> torch.Tensor:
        flat = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        model.zero_grad(set_to_none=True)
        return flat

    alone: dict[tuple[int, ...], float] = {}
    for feature in features:
        ids = torch.tensor([feature["input_ids"]])
        alone |= losses_of({"input_ids": ids, "labels": torch.where(torch.arange(ids.shape[1]) == 0, -100, ids)})
    expected = gradient()
    table = {}
    for contestant in CONTESTANTS[2:]:
        packed = contestant in ("ours, rows", "ours, flat")
        with packed_attention(model) if packed else nullcontext():
            losses = losses_of(batch_of(contestant, features))
        assert losses.keys() == alone.keys()
        table[contestant] = {
            "loss": max(abs(losses[key] - alone[key]) for key in alone),
            "gradient": ((gradient() - expected).abs().max() / expected.abs().max()).item(),
        }
    return table


def measure(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All contestants, in turns, each in a process of its own."""
    table: dict[str, dict[str, float]] = {}
    batches = batches_of(args.seed, args.n_batches)
    n_tokens = sum(len(feature["input_ids"]) for features in batches for feature in features)
    for turn in range(args.rounds):
        for contestant in CONTESTANTS:
            options = ["--contestant", contestant, "--seed", str(args.seed), "--n_batches", str(args.n_batches)]
            command = [
                sys.executable,
                "-m",
                "benchmarks.packing.training_step",
                *options,
                "--n_steps",
                str(args.n_steps),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            one = json.loads(done.stdout.splitlines()[-1])
            best = table.setdefault(contestant, dict(one))
            best["cpu_seconds"] = min(best["cpu_seconds"], one["cpu_seconds"])
            best["peak_mb"] = min(best["peak_mb"], one["peak_mb"])
        print(f"turn {turn + 1} of {args.rounds} done", flush=True)
    for contestant, entry in table.items():
        entry["tokens_per_cpu_second"] = n_tokens / entry["cpu_seconds"]
        entry["padding_fraction"] = 1 - n_tokens / sum(batch_of(contestant, b)["input_ids"].numel() for b in batches)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_batches", type=int, default=3, help="batches of eight samples (default 3)")
    parser.add_argument("--n_steps", type=int, default=2, help="steps per batch, the fastest counts (default 2)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="processes per contestant, the fastest counts (default 3)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contestant", choices=CONTESTANTS, help="run only this one, here, and print one JSON line")
    args = parser.parse_args()
    if args.contestant:
        print(json.dumps(contest(args.contestant, args.n_steps, args.seed, args.n_batches)))
        return
    table, apart = measure(args), differences(args.seed)
    for contestant, entry in table.items():
        entry |= {f"{key}_difference": value for key, value in apart.get(contestant, {}).items()}
        print(f"{contestant:18s}" + "   ".join(f"{key} {value:.4g}" for key, value in entry.items()))
    ours, codeact, padded = (table[name] for name in (OURS, "CodeACT pack", "pad to max_length"))
    goals = []
    for name, other, wanted in (("CodeACT pack", codeact, 2), ("padding to 2048", padded, 10)):
        speedup = ours["tokens_per_cpu_second"] / other["tokens_per_cpu_second"]
        goals.append(goal(f"tokens per second over {name}", f">= {wanted}", speedup, speedup >= wanted))
    memory = ours["peak_mb"] / codeact["peak_mb"]
    goals.append(goal("peak memory of the process over CodeACT's", "<= 1", memory, memory <= 1))
    for key in ("loss", "gradient"):
        worst = max(apart[name][key] for name in apart if name.startswith("ours"))
        goals.append(goal(f"{key}: largest difference to unpacked", "<= 1e-5", worst, worst <= 1e-5))
    write(__file__, [args.seed, 0], table, goals)


if __name__ == "__main__":
    main()
