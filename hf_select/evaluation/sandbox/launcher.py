"""Puts layers around itself and becomes another program; what ``launch.py`` writes a command for.

Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from . import folder
from .jail import MAX_DESCRIPTOR, JailError, Limits, confine, die_with, fork, hide
from .message import LAUNCH_REFUSED
from .process import task_allowance

_SIGNALLED = 128


def main(arguments: list[str]) -> NoReturn:
    """What ``start.py`` calls. Ends with the program's exit code, or ``LAUNCH_REFUSED``.

    Args:
        arguments: the jail as JSON, then the command.
    """
    jail: dict[str, Any] = json.loads(arguments[0])
    os.closerange(3, MAX_DESCRIPTOR)
    hide()
    limits = Limits(
        seconds=jail["seconds"],
        memory_bytes=jail["memory_bytes"],
        n_tasks=task_allowance(),
        readable=tuple(jail["readable"]),
        writable=tuple(jail["writable"]),
        kind=jail["kind"],
    )
    become(jail["layers"], limits, arguments[1:], lambda reason: os.write(2, f"sandbox: {reason}\n".encode()))


def become(layers: Iterable[str], limits: Limits, command: Sequence[str], refuse: Callable[[str], object]) -> NoReturn:
    """Put the layers on and execute a command in this folder and environment, in a child under namespaces.

    The process ends with the command's exit code; with 128 + n where the command ended by signal n under namespaces;
    with ``LAUNCH_REFUSED`` where nothing was run. For a process with a single thread.

    Args:
        layers: keys of ``jail.LAYERS``.
        limits: what the command may use; ``scratch`` is the folder in which a scratch folder is made under namespaces.
        command: the program and its arguments.
        refuse: is told why nothing was run: a layer that could not be put in place, or no such command.
    """
    try:
        if "namespaces" in layers:
            os._exit(_run_in_namespaces(layers, limits, command, refuse))
        if limits.writable:
            os.environ["TMPDIR"] = limits.writable[0]
        _execute(layers, limits, command)
    except (JailError, OSError) as error:
        refuse(str(error))
    os._exit(LAUNCH_REFUSED)


def _run_in_namespaces(
    layers: Iterable[str], limits: Limits, command: Sequence[str], refuse: Callable[[str], object]
) -> int:
    """Wait for the first process of new namespaces."""
    scratch = tempfile.mkdtemp(dir=limits.scratch or None)
    parent = os.getpid()
    child = fork(layers)
    if child == 0:
        die_with(parent)
        _first_process(layers, limits._replace(scratch=scratch), command, refuse)
    _, status = os.waitpid(child, 0)
    folder.remove(scratch)
    return _exit_code(status)


def _first_process(
    layers: Iterable[str], limits: Limits, command: Sequence[str], refuse: Callable[[str], object]
) -> NoReturn:
    """Enter, and wait for the program: the first process of a namespace would not heed its own signals."""
    where = os.getcwd()  # noqa: PTH109
    confine(["namespaces"], limits)
    with contextlib.suppress(OSError):
        os.chdir(where)  # else the scratch folder
    os.environ["TMPDIR"] = limits.scratch
    program = os.fork()
    if program == 0:
        inside = limits._replace(readable=(*limits.readable, "/proc"))
        try:
            _execute([layer for layer in layers if layer != "namespaces"], inside, command)
        except (JailError, OSError) as error:
            refuse(str(error))
        os._exit(LAUNCH_REFUSED)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == program:
            os._exit(_exit_code(status))


def _execute(layers: Iterable[str], limits: Limits, command: Sequence[str]) -> NoReturn:
    confine(layers, limits)
    os.execvp(command[0], list(command))


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNALLED - code
