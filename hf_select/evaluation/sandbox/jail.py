"""The layers that a process puts around itself. Standard library only.

Adding a level means adding its layer here to ``LAYERS`` and a row to ``LEVELS`` in ``level.py``.
"""

from __future__ import annotations

import math
import os
import resource
import signal
from collections.abc import Callable, Iterable
from typing import NamedTuple

from . import landlock, namespace, seccomp
from .kernel import JailError, drop_capabilities, prctl
from .process import descendants, kill_descendants, reap, seconds_without_processor, task_allowance

__all__ = [
    "LAYERS",
    "MAX_DESCRIPTOR",
    "MAX_STRETCH",
    "JailError",
    "Limits",
    "adopt_orphans",
    "confine",
    "descendants",
    "die_with",
    "drop_privileges",
    "fork",
    "hide",
    "keep_only",
    "kill_descendants",
    "reap",
    "seconds_without_processor",
    "set_limits",
    "task_allowance",
]

MAX_STRETCH = 3
"""The deadline moves back by the time a program waited for a processor, to at most this many time limits."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_LAST_CAPABILITY = 63
_ADDRESSES_OF_A_JVM = 1 << 46
MAX_DESCRIPTOR = 1 << 20


class Limits(NamedTuple):
    """What one process of a program may use.

    Attributes:
        seconds: the time limit of the program.
        memory_bytes: address space.
        n_tasks: processes and threads of this user, those of others included (not enforced for root).
        readable: files and folders that may be read (layers ``namespaces`` and ``landlock``).
        writable: folders that may be written (the same layers).
        scratch: an empty folder for temporary files; under ``namespaces`` a file system in memory takes its place.
        kind: which programs the layer ``seccomp`` is for, as in ``seccomp.assemble``.
        counts_data_only: ``memory_bytes`` limits what may be written and not the address space, of which a Java machine
            reserves far more than it uses.
    """

    seconds: float
    memory_bytes: int
    n_tasks: int
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    scratch: str = ""
    kind: str = "candidate"
    counts_data_only: bool = False


def hide() -> None:
    """Let no process of the same user read this one's memory or open its descriptors; children inherit it."""
    prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that nothing escapes by forking twice."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """End when the parent ends.

    Args:
        parent: process id of the parent.
    """
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() not in (parent, 0):  # 0: the parent is outside of this process's namespace
        os._exit(1)


def keep_only(descriptors: Iterable[int]) -> None:
    """Close every descriptor but these; input and output become nothing.

    Args:
        descriptors: what stays open.
    """
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    low = 3
    for kept in sorted(set(descriptors)):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, MAX_DESCRIPTOR)


def drop_privileges(limits: Limits) -> None:
    """No new privileges by exec, and no capability left: root keeps its files and loses its powers over others.

    Args:
        limits: not used by this layer.

    Raises:
        JailError: if the kernel refuses.
    """
    del limits
    if prctl(_PR_SET_NO_NEW_PRIVS, 1):
        raise JailError("no_new_privs: the kernel refuses")
    for capability in range(_LAST_CAPABILITY + 1):
        prctl(_PR_CAPBSET_DROP, capability)  # fails for those that do not exist and where there is nothing to drop
    try:
        drop_capabilities()
    except OSError as error:
        raise JailError(error.strerror) from error


def set_limits(limits: Limits) -> None:
    """Resource limits of the kernel.

    Processor time is only a backstop behind the supervisor's deadline, for a process that nobody is left to kill.

    Args:
        limits: time, memory and tasks.

    Raises:
        JailError: if the kernel refuses one.
    """
    values = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 16 << 20,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CPU": math.ceil(MAX_STRETCH * limits.seconds) + 1,
        "RLIMIT_STACK": 16 << 20,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_NPROC": limits.n_tasks,
        "RLIMIT_AS": _ADDRESSES_OF_A_JVM if limits.counts_data_only else limits.memory_bytes,
    }
    if limits.counts_data_only:
        values["RLIMIT_DATA"] = limits.memory_bytes
    for name, value in values.items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(number, (allowed, allowed))
        except (ValueError, OSError) as error:
            raise JailError(f"{name}={value}: {error}") from error


def enter_namespaces(limits: Limits) -> None:
    """Leave the old root, in a child that ``fork`` put into namespaces of its own.

    Args:
        limits: what it may read, where it may write.
    """
    is_candidate = limits.kind == "candidate"
    namespace.enter(limits.readable, limits.writable, limits.scratch, is_candidate=is_candidate)
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user cleared both
    hide()


def restrict_files(limits: Limits) -> None:
    """Landlock.

    Args:
        limits: what may be read and written.
    """
    places = (*limits.writable, limits.scratch) if limits.scratch else limits.writable
    landlock.restrict(limits.readable, places, execute=limits.kind != "candidate")


def restrict_calls(limits: Limits) -> None:
    """The filter of system calls.

    Args:
        limits: for which kind of program.
    """
    seccomp.restrict(limits.kind)


LAYERS: dict[str, Callable[[Limits], None]] = {
    "namespaces": enter_namespaces,
    "privileges": drop_privileges,
    "limits": set_limits,
    "landlock": restrict_files,
    "seccomp": restrict_calls,
}
"""What a level may name, in the order in which it must be applied."""


def fork(layers: Iterable[str]) -> int:
    """``os.fork``, or its like into new namespaces where the layers ask for them.

    Args:
        layers: keys of ``LAYERS``, which the child must put around itself with ``confine``.

    Returns:
        As ``os.fork``. In the child a ``JailError`` is raised where the kernel refuses the namespaces.
    """
    return namespace.fork() if "namespaces" in layers else os.fork()


def confine(layers: Iterable[str], limits: Limits) -> None:
    """Put the layers around this process.

    Args:
        layers: keys of ``LAYERS``.
        limits: what this process may use.

    Raises:
        JailError: if one is unknown or cannot be put in place.
    """
    for layer in layers:
        if layer not in LAYERS:
            raise JailError(f"no layer {layer!r}")
        LAYERS[layer](limits)
