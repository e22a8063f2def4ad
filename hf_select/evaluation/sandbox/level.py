"""The levels of containment: which layers of ``jail.py`` are put around a program, and what stays open."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from hf_select.errors import SandboxUnavailableError, unknown_name


@dataclass(frozen=True)
class Level:
    """One level of containment.

    Attributes:
        name: its key in ``LEVELS``; stands in every verdict.
        layers: the layers of ``jail.LAYERS`` put around program and judge, in order.
        contained: what a program cannot do.
        open: what a program still can do.
    """

    name: str
    layers: tuple[str, ...]
    contained: str
    open: str


LEVELS: dict[str, Level] = {
    level.name: level
    for level in (
        Level(
            "process",
            ("privileges", "limits"),
            "forge a verdict from within, read the tests, inherit memory, descriptors or environment of the caller, "
            "outlive its verdict, exceed time, memory, file size or output",
            "read and write the user's files, use the network, signal the user's other processes and, unless run as "
            "root, read them through /proc",
        ),
    )
}
"""Every level by name. Weaker than ``process`` is not offered."""


def get_level(name: str) -> Level:
    """Look a level up and make sure that this machine has what it needs.

    Args:
        name: a key of ``LEVELS``.

    Returns:
        The level.

    Raises:
        UnknownNameError: if there is no such level.
        SandboxUnavailableError: if this machine cannot provide it.
    """
    if name not in LEVELS:
        raise unknown_name("sandbox level", name, LEVELS)
    if sys.platform != "linux":
        raise SandboxUnavailableError(
            f"The sandbox level {name!r} needs Linux (process control and limits), and this is {sys.platform}. "
            f"Generate here and execute the samples on a Linux machine."
        )
    if not sys.executable:
        raise SandboxUnavailableError(
            "The sandbox starts a fresh Python interpreter and sys.executable is empty (an embedded interpreter). "
            "Run from a plain Python."
        )
    return LEVELS[name]
