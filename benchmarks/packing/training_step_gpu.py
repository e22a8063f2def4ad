"""A training step on a GPU: padding to max_length, to the longest, CodeACT's packing, and ours, forward and backward.

    python benchmarks/packing/training_step_gpu.py

Lengths are log-normal like instruction data, tokens are random, the model is a Llama with random weights in bfloat16.
CodeACT's packing is written from its description: ascending next-fit, one attention mask of ones, positions that run
on, so that samples see their predecessors. Tokens per second count real tokens alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from hf_select.training import DynamicPackCollator, PaddingCollator, pack, packed_attention


class Padding:
    """The two tokens that collators ask a tokenizer for."""

    pad_token_id = 0
    eos_token_id = 1


def codeact_batch(features: list[dict[str, list[int]]], max_length: int) -> dict[str, torch.Tensor]:
    """Plain concatenation: no restart of positions, no boundary in the attention."""
    rows = pack([len(f["input_ids"]) for f in features], max_length, "next_fit")
    width = max(sum(len(features[i]["input_ids"]) for i in row) for row in rows)
    batch = {name: torch.zeros(len(rows), width, dtype=torch.long) for name in ("input_ids", "attention_mask")}
    batch["labels"] = torch.full((len(rows), width), -100)
    for number, row in enumerate(rows):
        ids = torch.tensor([token for i in row for token in features[i]["input_ids"]])
        labels = torch.tensor([label for i in row for label in features[i]["labels"]])
        batch["input_ids"][number, : len(ids)] = ids
        batch["labels"][number, : len(ids)] = labels
        batch["attention_mask"][number, : len(ids)] = 1
    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--vocab_size", type=int, default=32_000)
    parser.add_argument("--max_length", type=int, default=2048)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--mean_length", type=float, default=420.0)
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--n_batches", type=int, default=6)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    batches = [draw(rng, arguments) for _ in range(arguments.n_batches)]
    model = build(arguments)
    ways = collations(arguments)
    for attention, collate in ways.values():  # compile kernels, fill the allocator
        step(model, collate(batches[0]), attention)
    measured: dict[str, dict[str, float]] = {}
    for _ in range(arguments.turns):  # in turn, so that a drift of the machine meets all of them
        for name, (attention, collate) in ways.items():
            found = measure(model, [collate(batch) for batch in batches], attention)
            if name not in measured or found["seconds"] < measured[name]["seconds"]:
                measured[name] = found
    n_real = sum(len(f["input_ids"]) for batch in batches for f in batch)
    for found in measured.values():
        found["tokens_per_second"] = n_real / found["seconds"]
    report(measured, arguments)


def draw(rng: np.random.Generator, arguments: argparse.Namespace) -> list[dict[str, list[int]]]:
    """One batch of samples; the first third of each is its prompt."""
    mu = np.log(arguments.mean_length) - arguments.sigma**2 / 2
    lengths = np.clip(rng.lognormal(mu, arguments.sigma, arguments.batch_size), 16, arguments.max_length).astype(int)
    samples = []
    for n in lengths:
        ids = rng.integers(2, arguments.vocab_size, n).tolist()
        samples.append({"input_ids": ids, "labels": [-100] * (n // 3) + ids[n // 3 :]})
    return samples


def build(arguments: argparse.Namespace) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=arguments.vocab_size,
        hidden_size=arguments.hidden,
        intermediate_size=int(arguments.hidden * 2.75),
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.hidden // 64,
        num_key_value_heads=arguments.hidden // 64,
        max_position_embeddings=arguments.max_length,
    )
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.bfloat16)
    model.config.use_cache = False
    return model.to("cuda").train()


def collations(arguments: argparse.Namespace) -> dict[str, tuple[bool, Any]]:
    """Name -> (packed attention?, collator)."""
    limit = arguments.max_length
    return {
        "pad to max_length": (False, PaddingCollator(Padding(), limit, padding="max_length")),
        "pad to longest": (False, PaddingCollator(Padding(), limit, padding="longest")),
        "CodeACT packing": (False, lambda features: codeact_batch(features, limit)),
        "dynamic pack, rows": (True, DynamicPackCollator(Padding(), limit)),
        "dynamic pack, flat": (True, DynamicPackCollator(Padding(), limit, layout="flat")),
    }


def step(model: Any, batch: dict[str, Any], attention: bool) -> float:
    moved = {name: value.to("cuda") if torch.is_tensor(value) else value for name, value in batch.items()}
    with packed_attention(model) if attention else contextlib.nullcontext():
        loss = model(**moved).loss
        loss.backward()
    model.zero_grad(set_to_none=True)
    return float(loss)


def measure(model: Any, batches: list[dict[str, Any]], attention: bool) -> dict[str, float]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for batch in batches:
        step(model, batch, attention)
    torch.cuda.synchronize()
    slots = sum(batch["input_ids"].numel() for batch in batches)
    real = {"seconds": time.perf_counter() - began, "peak_memory_bytes": float(torch.cuda.max_memory_allocated())}
    return {**real, "slots": float(slots)}


def report(measured: dict[str, dict[str, float]], arguments: argparse.Namespace) -> None:
    base, peer = measured["pad to max_length"], measured["CodeACT packing"]
    print("| collation | tokens/s | x pad to max_length | x CodeACT | padding | peak memory (GB) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    n_real = base["tokens_per_second"] * base["seconds"]
    for name, found in measured.items():
        found["padding_fraction"] = 1 - n_real / found["slots"]
        found["speed_over_max_length"] = found["tokens_per_second"] / base["tokens_per_second"]
        found["speed_over_codeact"] = found["tokens_per_second"] / peer["tokens_per_second"]
        print(
            f"| {name} | {found['tokens_per_second']:,.0f} | {found['speed_over_max_length']:.2f} | "
            f"{found['speed_over_codeact']:.2f} | {found['padding_fraction']:.3f} | "
            f"{found['peak_memory_bytes'] / 1e9:.1f} |"
        )
    settings = {name: value for name, value in vars(arguments).items() if name != "output"}
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    content = {
        "command": "python benchmarks/packing/training_step_gpu.py",
        "device": torch.cuda.get_device_name(),
        "versions": versions,
        "settings": settings,
        "measured": measured,
    }
    arguments.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
