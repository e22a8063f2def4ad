"""A small Llama that AdamW trains on the Python standard library with clipping, and rows that it has not seen."""

from __future__ import annotations

import copy
import sysconfig
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset

from benchmarks.ifd.corpus import make_tokenizer, stdlib_text
from hf_select.demo.model import build_model

_BATCH, _LENGTH, _VOCABULARY = 16, 64, 2048
_RATE = 1e-3  # constant, as in the stable phase of the schedule that the source scores in
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Setting(NamedTuple):
    """What every measurement starts from.

    Attributes:
        model: a Llama of 4 layers, 1.3 million parameters, float32; with an adapter, or not.
        tokenizer: its tokenizer.
        optimiser: AdamW as it stood after the last step.
        pool: rows: half Python of files that were not trained on, an eighth each C headers, Python of numpy, prose of
            package descriptions, and that first Python with its tokens shuffled.
        reference: Python of files that were not trained on.
        seen: the tokens that were trained on.
    """

    model: Any
    tokenizer: Any
    optimiser: torch.optim.AdamW
    pool: Dataset
    reference: Dataset
    seen: np.ndarray


def make_setting(n_pool: int, n_reference: int, max_length: int, n_steps: int) -> Setting:
    """Train the model and cut the rows."""
    tokenizer = make_tokenizer(_VOCABULARY)
    texts = stdlib_text(80)
    seen, unseen, c_code, other_python, prose = (
        np.asarray(tokenizer("\n".join(part), verbose=False).input_ids)
        for part in (texts[:40], texts[40:60], headers(), numpy_sources(), descriptions())
    )
    torch.manual_seed(0)
    model = build_model(tokenizer, hidden=128, layers=4, heads=4, intermediate_size=512, vocab_size=_VOCABULARY)
    optimiser = train(model, seen, n_steps)
    shuffled = np.random.default_rng(4).permutation(unseen)
    mix = [unseen, c_code, unseen, other_python, unseen, prose, unseen, shuffled]
    pool, reference = cut(mix, n_pool, max_length, seed=2), cut([unseen], n_reference, max_length, seed=3)
    return Setting(model.eval(), tokenizer, optimiser, pool, reference, seen)


def with_adapter(setting: Setting, n_steps: int) -> Setting:
    """A LoRA adapter of rank 8 on all projections of a copy of the model, trained until its B is far from 0."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft reads old names
        config = LoraConfig(r=8, target_modules=list(_PROJECTIONS), task_type="CAUSAL_LM")
        model = get_peft_model(copy.deepcopy(setting.model).train(), config)
    optimiser = train(model, setting.seen, n_steps)
    return setting._replace(model=model.eval(), optimiser=optimiser)


def headers() -> list[str]:
    """Python's own C headers."""
    paths = sorted(Path(sysconfig.get_paths()["include"]).glob("*.h"))
    return [path.read_text(encoding="utf-8") for path in paths]


def numpy_sources() -> list[str]:
    """Modules of numpy's linear algebra and library folders."""
    package = Path(np.__file__).parent
    paths = [*sorted(package.glob("lib/*.py")), *sorted(package.glob("linalg/*.py"))]
    return [path.read_text(encoding="utf-8") for path in paths]


def descriptions() -> list[str]:
    """What nine of our own requirements say of themselves."""
    names = ("numpy", "scipy", "scikit-learn", "torch", "transformers", "datasets", "accelerate", "peft", "tqdm")
    return [metadata.distribution(name).metadata.get_payload() for name in names]


def trainable(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """What an optimiser is given."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def train(model: Any, stream: np.ndarray, n_steps: int) -> torch.optim.AdamW:
    """AdamW with the Trainer's own constants."""
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(trainable(model), lr=_RATE, weight_decay=0.01)
    for _ in range(n_steps):
        starts = rng.integers(0, len(stream) - _LENGTH, _BATCH)
        ids = torch.from_numpy(np.stack([stream[start : start + _LENGTH] for start in starts]))
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable(model), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    print(f"trained {n_steps} steps, loss {loss.item():.2f}")
    return optimiser


def cut(streams: Sequence[np.ndarray], n_rows: int, max_length: int, seed: int) -> Dataset:
    """Rows of uneven lengths, from one stream after the other; all tokens but the first are learnt."""
    rng = np.random.default_rng(seed)
    rows = []
    for place in range(n_rows):
        stream = streams[place % len(streams)]
        length = int(np.clip(rng.lognormal(np.log(max_length / 1.6), 0.5), 8, max_length))
        start = int(rng.integers(0, len(stream) - length))
        ids = stream[start : start + length].tolist()
        rows.append({"input_ids": ids, "labels": [-100, *ids[1:]]})
    return Dataset.from_list(rows)
