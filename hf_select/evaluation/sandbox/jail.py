"""The layers that a process puts around itself, and the end of everything it started. Standard library only.

Adding a level means adding its layer here to ``LAYERS`` and a row to ``LEVELS`` in ``level.py``.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

MAX_STRETCH = 3
"""The deadline moves back by the time a program waited for a processor, to at most this many time limits."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_LAST_CAPABILITY = 63
_CAPABILITY_VERSION_3 = 0x20080522
_N_EXTRA_TASKS = 64
_MAX_DESCRIPTOR = 1 << 20
_POLL_SECONDS = 0.002


class JailError(Exception):
    """A layer could not be put in place."""


class Limits(NamedTuple):
    """What one process of a program may use.

    Attributes:
        seconds: the time limit of the program.
        memory_bytes: address space.
        n_tasks: processes and threads of this user, those of others included (not enforced for root).
    """

    seconds: float
    memory_bytes: int
    n_tasks: int


_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int = 0) -> int:
    zero = ctypes.c_ulong(0)
    return int(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero))


def hide() -> None:
    """Let no process of the same user read this one's memory or open its descriptors; children inherit it."""
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that nothing escapes by forking twice."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """End when the parent ends.

    Args:
        parent: process id of the parent.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
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
    os.closerange(low, _MAX_DESCRIPTOR)


def drop_privileges(limits: Limits) -> None:
    """No new privileges by exec, and no capability left: root keeps its files and loses its powers over others.

    Args:
        limits: not used by this layer.

    Raises:
        JailError: if the kernel refuses.
    """
    del limits
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        raise JailError(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    for capability in range(_LAST_CAPABILITY + 1):
        _prctl(_PR_CAPBSET_DROP, capability)  # fails for those that do not exist and where there is nothing to drop
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, nothing):
        raise JailError(f"capset: {os.strerror(ctypes.get_errno())}")


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
        "RLIMIT_AS": limits.memory_bytes,
    }
    for name, value in values.items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(number, (allowed, allowed))
        except (ValueError, OSError) as error:
            raise JailError(f"{name}={value}: {error}") from error


LAYERS: dict[str, Callable[[Limits], None]] = {"privileges": drop_privileges, "limits": set_limits}
"""What a level may name, in the order in which it must be applied."""


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


def task_allowance() -> int:
    """How many tasks this user may have: those that run now, and a few for the program."""
    user = os.getuid()
    n_tasks = 0
    for process in _processes():
        with contextlib.suppress(OSError):
            if process.stat().st_uid == user:
                n_tasks += sum(1 for _ in (process / "task").iterdir())
    return n_tasks + _N_EXTRA_TASKS


def seconds_without_processor(process_ids: Iterable[int]) -> float:
    """How long processes were ready to run and had to wait for a processor; 0 where the kernel does not tell.

    Args:
        process_ids: the processes.

    Returns:
        The largest of their waits.
    """
    longest = 0.0
    for process_id in process_ids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            longest = max(longest, int(Path(f"/proc/{process_id}/schedstat").read_text().split()[1]) / 1e9)
    return longest


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def descendants(root: int) -> list[int]:
    """All processes under one that have not ended, parents before children.

    Args:
        root: process id; not in the result.

    Returns:
        Process ids.
    """
    children: dict[int, list[int]] = {}
    for process in _processes():
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = (process / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(process.name))
    found = [root]
    for process_id in found:
        found.extend(children.get(process_id, ()))
    return found[1:]


def kill_descendants(root: int, seconds: float = 5.0) -> bool:
    """End every process under one.

    Stopped before they are killed, so that a process which keeps forking stands still while the rest is looked for.

    Args:
        root: process id; is left alone.
        seconds: how long to try.

    Returns:
        Whether none is left.
    """
    end = time.monotonic() + seconds
    own = root == os.getpid()
    while True:
        found = descendants(root)
        for signal_number in (signal.SIGSTOP, signal.SIGKILL):
            for process_id in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process_id, signal_number)
        if not found and (not own or reap()):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)


def reap() -> bool:
    """Collect every child that has ended.

    Returns:
        Whether no child is left.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False
