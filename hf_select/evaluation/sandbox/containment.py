"""How the programs of an evaluation were contained, as it stands in every file of results."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hf_select.evaluation.sandbox import landlock
from hf_select.evaluation.sandbox.kernel import JailError
from hf_select.evaluation.sandbox.level import LEVELS, rank
from hf_select.evaluation.sandbox.self_test import try_level


class Containment(NamedTuple):
    """How programs were contained.

    Attributes:
        level: a key of ``LEVELS``.
        layers: what that level puts around a program.
        landlock_version: the kernel's version of Landlock; ``None`` where the level does not use it.
        user: number of the user that ran the evaluation; 0 is root.
        why_not_stronger: the reason for each stronger level that was not used.
    """

    level: str
    layers: Sequence[str]
    landlock_version: int | None
    user: int
    why_not_stronger: Mapping[str, str]


def record_containment(level: str) -> Containment:
    """What to record about a level that programs run at, on this machine.

    Args:
        level: a key of ``LEVELS``.

    Returns:
        The record.
    """
    layers = list(LEVELS[level].layers)
    stronger = [name for name in LEVELS if rank(name) > rank(level)]
    return Containment(
        level=level,
        layers=layers,
        landlock_version=_landlock_version() if "landlock" in layers else None,
        user=os.getuid(),
        why_not_stronger={name: try_level(name).reason or "it holds; a weaker one was asked for" for name in stronger},
    )


def _landlock_version() -> int | None:
    try:
        return landlock.version()
    except JailError:
        return None
