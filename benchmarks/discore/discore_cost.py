r"""What a DIScore costs: in plain forward passes of the pool, against the oracle, and against forward-mode AD.

OMP_NUM_THREADS=1 python -m benchmarks.discore.discore_cost

Turns alternate; a run's time is its best turn in processor seconds of one thread. The oracle takes a few rows, and its
time is scaled to the pool. "pool" is the pass over the pool alone, "whole" also takes the gradients of the reference
rows and the constants, once for any size of pool.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset
from torch.func import functional_call, jvp, vmap

from benchmarks.discore.record import goal, write
from benchmarks.discore.setting import Setting, make_setting
from hf_select.extraction import Extraction
from hf_select.signals.gradients.engine import gradient_engine
from hf_select.signals.gradients.loss import make_loss
from hf_select.signals.gradients.one_step import OneStep, OneStepInfluence
from hf_select.signals.gradients.validation import make_validation
from hf_select.signals.layout import Layout
from hf_select.signals.models import Companions, Models
from hf_select.signals.plan import make_plan
from hf_select.signals.source import Options
from hf_select.training.attention import plain_attention

N_TASKS = 7
_RATE = 1e-4
_ROWS_PER_BATCH = 16
_UNCLIPPED = ("finite_difference", "linear", "exact")


class Run:
    """One engine over the pool."""

    def __init__(self, influence: OneStepInfluence, max_tokens: int) -> None:
        self.influence = influence
        loss = influence.loss
        plan = make_plan(loss.lengths, max_tokens, padded=loss.layout is Layout.PADDED)
        self.batches = [batch for shard in plan.shards for batch in shard]

    def pool(self) -> np.ndarray:
        """The pass over the pool; what is common to all rows is there after the first."""
        parts = [self.influence.read(batch) for batch in self.batches]
        return in_order(self.batches, parts)

    def whole(self) -> np.ndarray:
        """The pass over the pool, with gradients of the reference rows and constants anew."""
        self.influence = replace(self.influence)
        return self.pool()


def in_order(batches: list[np.ndarray], parts: list[np.ndarray]) -> np.ndarray:
    values = np.concatenate(parts)
    whole = np.empty_like(values)
    whole[np.concatenate(batches)] = values
    return whole


@contextmanager
def opened(setting: Setting, references: Mapping[str, Dataset]) -> Iterator[Callable[..., OneStepInfluence]]:
    """Makes engines with the hooks on."""
    models = Models(setting.model, setting.tokenizer, companions=Companions(optimizer=setting.optimiser))
    options = Options(cache_dir=False, progress=False, max_length=512)
    source = Extraction(setting.pool, models, None, options, reference=references).source
    loss, validation = make_loss(source), make_validation(source)
    with gradient_engine(loss) as engine:
        yield lambda name, max_norm: OneStepInfluence(
            OneStep(name, _RATE, max_norm), engine, loss, validation, source, None
        )


def padded(setting: Setting) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of rows of similar length, as a user would write them."""
    rows = sorted(setting.pool["input_ids"], key=len)
    batches = []
    for start in range(0, len(rows), _ROWS_PER_BATCH):
        part = rows[start : start + _ROWS_PER_BATCH]
        ids = torch.zeros(len(part), max(map(len, part)), dtype=torch.int64)
        labels = torch.full_like(ids, -100)
        for place, row in enumerate(part):
            ids[place, : len(row)] = torch.tensor(row)
            labels[place, 1 : len(row)] = torch.tensor(row[1:])
        batches.append((ids, labels))
    return batches


def losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean loss of each row."""
    targets = labels[:, 1:]
    nll = F.cross_entropy(logits[:, :-1].mT, targets, ignore_index=-100, reduction="none")
    return nll.sum(1) / (targets != -100).sum(1)


@torch.no_grad()
def plain_forward(setting: Setting) -> None:
    with plain_attention(setting.model):
        for ids, labels in padded(setting):
            losses(setting.model(input_ids=ids, use_cache=False).logits, labels)


def forward_mode(setting: Setting, directions: Mapping[str, torch.Tensor]) -> np.ndarray:
    """``vmap(jvp)`` over the directions: the losses of a batch as a function of the weights."""
    model = setting.model
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tangents, found = {name: directions[name] for name in weights}, []
    model.set_attn_implementation("eager")  # no fused attention has forward-mode derivatives
    for ids, labels in padded(setting):

        def of_weights(given: dict[str, torch.Tensor], ids: Any = ids, labels: Any = labels) -> torch.Tensor:
            return losses(functional_call(model, given, (), {"input_ids": ids, "use_cache": False}).logits, labels)

        with torch.no_grad():
            found.append(vmap(lambda tangent: jvp(of_weights, (weights,), (tangent,))[1])(tangents).T)
    model.set_attn_implementation("sdpa")
    order = np.argsort([len(ids) for ids in setting.pool["input_ids"]], kind="stable")
    values = torch.cat(found).numpy()
    whole = np.empty_like(values)
    whole[order] = values
    return whole


def timed(runs: Mapping[str, Callable[[], Any]], n_turns: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """All times, and what was found."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, Any] = {}
    for _ in range(n_turns):
        for name, run in runs.items():
            start = time.process_time()
            found[name] = run()
            times[name].append(time.process_time() - start)
    return times, found


def measure(setting: Setting, args: argparse.Namespace) -> tuple[dict[str, list[float]], float]:
    """Times of each run, and how far the engine is from forward mode."""
    one = {"task 0": setting.reference}
    many = {f"task {place}": setting.reference.shard(N_TASKS, place) for place in range(N_TASKS)}
    forward = {"forward, batch 16": lambda: plain_forward(setting)}
    with opened(setting, one) as make:
        runs = {name: Run(make(name, None), args.max_tokens_per_batch) for name in _UNCLIPPED}
        clipped, oracle = Run(make("exact", 1.0), args.max_tokens_per_batch), make("oracle_float32", 1.0)
        oracle.read(np.arange(1))
        passes = {f"{name}, 1 task": warmed(run) for name, run in runs.items()}
        passes |= {"exact, 1 task, clipped": warmed(clipped), "exact, 1 task, clipped, whole": clipped.whole}
        oracles = {"oracle, some rows": lambda: oracle.read(np.arange(args.n_oracle))}
        times, _ = timed({**forward, **passes, **oracles}, args.n_turns)
    with opened(setting, many) as make:
        passes = {
            "exact, 7 tasks": warmed(Run(make("exact", None), args.max_tokens_per_batch)),
            "exact, 7 tasks, clipped": warmed(Run(make("exact", 1.0), args.max_tokens_per_batch)),
        }
        of_many, _ = timed({**forward, **passes}, args.n_turns)
        plain = Run(make("plain", None), args.max_tokens_per_batch)
        products, directions = plain.pool(), plain.influence._expansion.reduction.directions
    of_jvp, found = timed({"vmap(jvp), 7 directions": lambda: forward_mode(setting, directions)}, 1)
    for name, turns in (of_many | of_jvp).items():
        times[name] = times.get(name, []) + turns
    [derivatives] = found.values()
    return times, float(np.abs(derivatives - products).max() / np.abs(products).max())


def warmed(run: Run) -> Callable[[], Any]:
    """A run over the pool with all that is common to the rows made before."""
    run.pool()
    return run.pool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_pool", type=int, default=96)
    parser.add_argument("--n_reference", type=int, default=100)
    parser.add_argument("--n_oracle", type=int, default=4)
    parser.add_argument("--max_length", type=int, default=160)
    parser.add_argument("--max_tokens_per_batch", type=int, default=2048)
    parser.add_argument("--n_steps", type=int, default=50)
    parser.add_argument("--n_turns", type=int, default=3)
    args = parser.parse_args()
    setting = make_setting(args.n_pool, args.n_reference, args.max_length, args.n_steps)
    times, error = measure(setting, args)
    seconds = {name: round(min(turns), 4) for name, turns in times.items()}
    seconds["oracle, scaled to the pool"] = round(seconds["oracle, some rows"] * args.n_pool / args.n_oracle, 2)
    forward, oracle = seconds["forward, batch 16"], seconds["oracle, scaled to the pool"]
    jvps = seconds["vmap(jvp), 7 directions"]
    ratios = {name: round(value / forward, 2) for name, value in seconds.items()}
    goals = [
        goal("finite_difference, in plain forward passes", 2.2, ratios["finite_difference, 1 task"], at_least=False),
        goal("exact AdamW, 7 tasks, in plain forward passes", 4.2, ratios["exact, 7 tasks"], at_least=False),
        goal("exact AdamW, 1 task, faster than the oracle", 25, oracle / seconds["exact, 1 task"], at_least=True),
        goal("exact AdamW, 7 tasks, faster than vmap(jvp)", 4, jvps / seconds["exact, 7 tasks"], at_least=True),
    ]
    settings = {**vars(args), "pool_tokens": int(sum(map(len, setting.pool["input_ids"])))}
    results = {
        "unit": "CPU seconds (process_time), best of alternating turns",
        "seconds": seconds,
        "in_forward_passes": ratios,
        "turns": {name: [round(turn, 3) for turn in turns] for name, turns in times.items()},
        "largest_difference_of_products_from_forward_mode": float(f"{error:.1e}"),
    }
    write(__file__, settings, results, goals)


if __name__ == "__main__":
    main()
