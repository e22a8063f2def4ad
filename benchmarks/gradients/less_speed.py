r"""LESS on a LoRA adapter: hooks and exact cosines against a loop at batch size 1 and a dense random projection.

OMP_NUM_THREADS=1 python -m benchmarks.gradients.less_speed

Both sides start at token ids and at Adam's state in memory. The plain way is the form of the published code: one row at
a time through autograd, Adam's Gamma, a dense matrix of signs to 8192 dimensions in blocks of 16 rows, cosines. Drawing
that matrix is not timed. Turns alternate; a side's time is its best turn in processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import transformers

from benchmarks.gradients.warm import Setting, make_setting
from hf_select.signals.gradients.direction import reference_directions
from hf_select.signals.gradients.engine import GradientEngine, gradient_engine
from hf_select.signals.gradients.loss import ResponseLoss
from hf_select.signals.gradients.projection import SparseProjection
from hf_select.signals.gradients.reduction import UpdateDots
from hf_select.signals.gradients.update import AdamUpdate
from hf_select.signals.layout import Layout
from hf_select.signals.plan import Segment, make_plan
from hf_select.signals.way import find_way

N_DIMENSIONS = 8192
_ROWS_PER_PROJECTION = 16


class Whole:
    """A reduction that keeps the gradients as they are: ``(n, P)``."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        ends = np.cumsum(list(sizes.values())).tolist()
        self.places = {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}
        self.width = ends[-1]

    def zeros(self, n_samples: int, device: torch.device) -> torch.Tensor:
        return torch.zeros(n_samples, self.width, device=device)

    def add(self, gradient: Any, out: torch.Tensor) -> None:
        for block in gradient.blocks():
            out[block.samples[0] : block.samples[-1] + 1, self.places[gradient.name]] = block.values.flatten(1)

    def add_absent(self, names: Any, out: torch.Tensor) -> None:
        pass


def looped(setting: Setting, segments: list[Segment], *, gamma: bool) -> torch.Tensor:
    """``(n, P)`` gradients, or Adam's Gammas, one row at a time."""
    model, found = setting.model, []
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for context, target in segments:
        ids = torch.from_numpy(np.concatenate([context, target]).astype(np.int64))
        labels = ids.clone()
        labels[: len(context)] = -100
        loss = model(input_ids=ids[None], labels=labels[None], use_cache=False).loss
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        if gamma:
            gradients = [
                (0.9 * setting.moments[name].mean + 0.1 * g)
                / (0.999 * setting.moments[name].square + 0.001 * g * g + 1e-8).sqrt()
                for name, g in zip(parameters, gradients, strict=True)
            ]
        found.append(torch.cat([g.flatten() for g in gradients]))
    return torch.stack(found)


def dense(rows: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """Rows times a matrix of signs, some rows at a time."""
    return torch.cat(
        [rows[start : start + _ROWS_PER_PROJECTION] @ signs for start in range(0, len(rows), _ROWS_PER_PROJECTION)]
    )


def sparse(rows: torch.Tensor, projection: SparseProjection) -> torch.Tensor:
    """Rows through the sparse projection, as one parameter."""
    out = projection.zeros(len(rows), rows.device)
    projection.add_numbers("adapter", rows, out)
    return out


def cosines(rows: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    return (F.normalize(rows) @ F.normalize(targets).T).numpy()


def plain_less(setting: Setting, signs: torch.Tensor) -> np.ndarray:
    """Mean projected cosine with the reference rows."""
    pool = dense(looped(setting, setting.pool, gamma=True), signs)
    targets = dense(looped(setting, setting.reference, gamma=False), signs)
    return cosines(pool, targets).mean(axis=1)


class Ours:
    """The engine, with plans made once."""

    def __init__(self, setting: Setting, max_tokens: int) -> None:
        self.setting = setting
        self.way = find_way(setting.model)
        self.loss = ResponseLoss(setting.model, self.way, setting.pool)
        plan = make_plan(self.loss.lengths, max_tokens, padded=self.way.layout is Layout.PADDED)
        self.batches = [batch for shard in plan.shards for batch in shard]

    def read(self, engine: GradientEngine, reduction: Any) -> np.ndarray:
        parts = [engine.read(self.loss, batch, [reduction]).sums[0] for batch in self.batches]
        rows = np.concatenate(self.batches)
        whole = np.empty((len(rows), parts[0].shape[1]), parts[0].dtype)
        whole[rows] = np.concatenate(parts)
        return whole

    def gradients(self) -> torch.Tensor:
        with gradient_engine(self.loss) as engine:
            return torch.from_numpy(self.read(engine, Whole(engine.sizes)))

    def less(self) -> np.ndarray:
        """Mean exact cosine with the reference rows, the check of the hooks included."""
        reference = ResponseLoss(self.setting.model, self.way, self.setting.reference)
        with gradient_engine(self.loss) as engine:
            directions = reference_directions(engine, {"reference": reference}, of_units=True, unit=False)
            update = AdamUpdate(self.setting.moments, eps="inside", bias_correction=False)
            sums = self.read(engine, UpdateDots(update, directions))
        return sums[:, 0] / np.sqrt(sums[:, 1])


class Timed(NamedTuple):
    """Best time of each run over alternating turns, all times, and what it found."""

    best: dict[str, float]
    turns: dict[str, list[float]]
    found: dict[str, Any]


def timed(runs: Mapping[str, Callable[[], Any]], n_turns: int) -> Timed:
    times: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, Any] = {}
    for _ in range(n_turns):
        for name, run in runs.items():
            start = time.process_time()
            found[name] = run()
            times[name].append(time.process_time() - start)
    return Timed({name: min(values) for name, values in times.items()}, times, found)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def measure(setting: Setting, args: argparse.Namespace) -> dict[str, Any]:
    """The three comparisons."""
    ours = Ours(setting, args.max_tokens_per_batch)
    gradients = timed(
        {
            "forward, batch 1": lambda: forward(setting),
            "gradients, loop": lambda: looped(setting, setting.pool, gamma=False),
            "gradients, hooks": ours.gradients,
        },
        args.n_turns,
    )
    rows = gradients.found["gradients, loop"]
    targets = looped(setting, setting.reference, gamma=False)
    signs = draw_signs(rows.shape[1])
    projection = SparseProjection(N_DIMENSIONS, n_copies=4)
    projected = timed(
        {
            "projection, dense": lambda: dense(rows, signs),
            "projection, sparse": lambda: sparse(rows, projection),
        },
        args.n_turns,
    )
    near = projected.found["projection, dense"], projected.found["projection, sparse"]
    aims = {
        "reference rows": (targets, dense(targets, signs), sparse(targets, projection)),
        f"{len(targets)} rows of the pool": (rows[: len(targets)], near[0][: len(targets)], near[1][: len(targets)]),
    }
    whole = timed({"LESS, loop + dense": lambda: plain_less(setting, signs), "LESS, ours": ours.less}, args.n_turns)
    truth = cosines(looped(setting, setting.pool, gamma=True), targets).mean(axis=1)
    error = float((rows - gradients.found["gradients, hooks"]).norm() / rows.norm())
    best = gradients.best | projected.best | whole.best
    return {
        "n_parameters": rows.shape[1],
        "layout": ours.way.layout.value,
        "seconds": {name: round(value, 4) for name, value in best.items()},
        "ratios_by_turn": {
            "gradients": ratios(gradients.turns, "gradients, loop", "gradients, hooks"),
            "projection": ratios(projected.turns, "projection, dense", "projection, sparse"),
            "LESS": ratios(whole.turns, "LESS, loop + dense", "LESS, ours"),
        },
        "relative_error_of_gradients": float(f"{error:.1e}"),
        "cosines": {name: fidelity(rows, near, of_aim) for name, of_aim in aims.items()},
        "error_of_less": {name: float(f"{np.abs(found - truth).max():.1e}") for name, found in whole.found.items()},
        "spearman_of_less": {name: round(spearman(found, truth), 4) for name, found in whole.found.items()},
    }


def fidelity(rows: torch.Tensor, near: tuple[torch.Tensor, ...], aim: tuple[torch.Tensor, ...]) -> dict[str, float]:
    """Spread of the exact cosines with some targets, and how the projected ones correlate with them."""
    exact = cosines(rows, aim[0])
    found = {
        name: np.corrcoef(cosines(pool, targets).ravel(), exact.ravel())[0, 1]
        for name, pool, targets in zip(("dense", "sparse"), near, aim[1:], strict=True)
    }
    return {"spread": round(float(exact.std()), 4)} | {name: round(float(r), 4) for name, r in found.items()}


def draw_signs(n_parameters: int) -> torch.Tensor:
    """A dense projection, ``(P, 8192)``."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (n_parameters, N_DIMENSIONS), generator=generator, dtype=torch.int8).float()
    return signs.mul_(2).sub_(1).div_(N_DIMENSIONS**0.5)


@torch.no_grad()
def forward(setting: Setting) -> None:
    for context, target in setting.pool:
        ids = torch.from_numpy(np.concatenate([context, target]).astype(np.int64))
        setting.model(input_ids=ids[None], use_cache=False)


def ratios(turns: dict[str, list[float]], plain: str, ours: str) -> list[float]:
    return sorted(round(a / b, 2) for a, b in zip(turns[plain], turns[ours], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_pool", type=int, default=64)
    parser.add_argument("--n_reference", type=int, default=16)
    parser.add_argument("--max_length", type=int, default=128)
    parser.add_argument("--max_tokens_per_batch", type=int, default=2048)
    parser.add_argument("--n_steps", type=int, default=300)
    parser.add_argument("--n_lora_steps", type=int, default=50)
    parser.add_argument("--n_turns", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()

    setting = make_setting(
        args.n_pool, args.n_reference, args.max_length, n_steps=args.n_steps, n_lora_steps=args.n_lora_steps
    )
    measured = measure(setting, args)
    seconds, correlations = measured["seconds"], measured["cosines"].values()
    speedups = {
        "gradients": round(seconds["gradients, loop"] / seconds["gradients, hooks"], 2),
        "projection": round(seconds["projection, dense"] / seconds["projection, sparse"], 1),
        "LESS": round(seconds["LESS, loop + dense"] / seconds["LESS, ours"], 2),
    }
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.gradients.less_speed", *sys.argv[1:]]),
        "unit": "CPU seconds (process_time), best of alternating turns",
        "settings": {name: value for name, value in vars(args).items() if name != "output"},
        "machine": {
            "threads": torch.get_num_threads(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "measured": measured,
        "speedups": speedups,
        "goals": {
            "gradients 1.4 times as fast as a loop": speedups["gradients"] >= 1.4,
            "sparse projection 30 times as fast as a dense one": speedups["projection"] >= 30,
            "its cosines as near to exact ones as the dense one's": all(
                found["sparse"] >= found["dense"] - 0.002 for found in correlations
            ),
            "its cosines correlate 0.997 with exact ones where these spread": any(
                found["sparse"] >= 0.997 and found["spread"] > 0.1 for found in correlations
            ),
            "LESS twice as fast as loop and dense projection": speedups["LESS"] >= 2,
        },
    }
    text = json.dumps(result, indent=2)
    args.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
