"""A small Llama that has seen the Python standard library, a LoRA adapter with an optimiser state, and rows."""

from __future__ import annotations

import sysconfig
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from peft import LoraConfig, get_peft_model

from benchmarks.ifd.corpus import make_tokenizer, stdlib_text
from hf_select.demo.model import build_model
from hf_select.signals.gradients.update import Moments
from hf_select.signals.plan import Segment

_BATCH, _LENGTH = 16, 64


class Setting(NamedTuple):
    """What both sides start from.

    Attributes:
        model: a Llama with a LoRA adapter on q, k, v and o.
        moments: Adam's state of the adapter, by parameter.
        pool: segments of the pool.
        reference: segments to aim at.
    """

    model: Any
    moments: dict[str, Moments]
    pool: list[Segment]
    reference: list[Segment]


def make_setting(n_pool: int, n_reference: int, max_length: int, *, n_steps: int, n_lora_steps: int) -> Setting:
    """Train the model, then the adapter; cut rows of up to ``max_length`` tokens.

    Half of the pool is Python of files that were not trained on, a quarter C headers, a quarter that Python with its
    tokens shuffled; the reference rows are Python.
    """
    tokenizer = make_tokenizer(2048)
    headers = sorted(Path(sysconfig.get_paths()["include"]).glob("*.h"))
    texts = stdlib_text(80)
    stream, unseen, c_code = (
        np.asarray(tokenizer("\n".join(part), verbose=False).input_ids, dtype=np.int32)
        for part in (texts[:40], texts[40:60], [path.read_text(encoding="utf-8") for path in headers])
    )
    mix = [unseen, c_code, unseen, np.random.default_rng(4).permutation(unseen)]
    torch.manual_seed(0)
    model = build_model(tokenizer, hidden=128, layers=4, heads=4, intermediate_size=512, vocab_size=2048)
    _train(model, stream, n_steps, 1e-3, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft reads a name that transformers calls old
        adapted = get_peft_model(
            model, LoraConfig(r=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM")
        )
    optimiser = _train(adapted, stream, n_lora_steps, 1e-3, seed=1)
    state = {name: optimiser.state[p] for name, p in adapted.named_parameters() if p.requires_grad}
    moments = {
        name: Moments(known["exp_avg"], known["exp_avg_sq"], int(known["step"]), (0.9, 0.999), 1e-8)
        for name, known in state.items()
    }
    pool, reference = _rows(mix, n_pool, max_length, seed=2), _rows([unseen], n_reference, max_length, seed=3)
    return Setting(adapted.eval(), moments, pool, reference)


def _train(model: Any, stream: np.ndarray, n_steps: int, rate: float, seed: int) -> torch.optim.AdamW:
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    for _ in range(n_steps):
        starts = rng.integers(0, len(stream) - _LENGTH, _BATCH)
        ids = torch.from_numpy(np.stack([stream[start : start + _LENGTH] for start in starts]).astype(np.int64))
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return optimiser


def _rows(streams: Sequence[np.ndarray], n_rows: int, max_length: int, seed: int) -> list[Segment]:
    """Rows cut from one stream after the other."""
    rng = np.random.default_rng(seed)
    rows = []
    for place in range(n_rows):
        stream = streams[place % len(streams)]
        length = int(np.clip(rng.lognormal(np.log(max_length / 1.6), 0.5), 8, max_length))
        start, border = int(rng.integers(0, len(stream) - length)), max(1, length // 4)
        rows.append(Segment(stream[start : start + border], stream[start + border : start + length]))
    return rows
