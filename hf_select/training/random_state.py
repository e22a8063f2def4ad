"""The global random states of Python, NumPy and torch, left as they were found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Run something and put the global random states back afterwards, those of this process's GPU included."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (kept, not drawn from)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
