"""The process that runs the steps of one job, each confined, and says how they ended. Standard library only.

Started as ``python -s -S -B -X utf8 launcher.py <folder of the sandbox>``: the job comes as JSON on standard input, the
answer goes as JSON to standard output. The layers of the jail are those of the sandbox, whose folder becomes a package
of its own here, without the package that it lies in.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
import types
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

_MAX_KEPT_BYTES = 8192
_MAX_DETAIL = 300
_POLL_SECONDS = 0.01
_SECONDS_BETWEEN_LOOKS = 0.1
_SIGNALLED = 128
_NOT_STARTED = 125
"""Exit code of a child that was not executed; what tells so is the reason it gives, for a program may use it too."""

REFUSED = 3
"""Exit code by which the last step says that the problem cannot be asked here."""

_OUT_OF_MEMORY = ("bad_alloc", "OutOfMemoryError", "MemoryError", "out of memory")


class Step(TypedDict):
    """One command of a job.

    Attributes:
        name: for messages.
        command: the executable, absolute, and its arguments.
        seconds: its time limit.
        memory_bytes: what its processes may use, each.
        counts_data_only: limit written memory and not the address space, of which a JVM reserves far more than it uses.
        kind: ``"program"`` or ``"tool"``, as in ``sandbox.confine``.
        readable: files and folders that it needs, with the targets of links.
        writable: folders that it may write.
    """

    name: str
    command: list[str]
    seconds: float
    memory_bytes: int
    counts_data_only: bool
    kind: str
    readable: list[str]
    writable: list[str]


class Ending(NamedTuple):
    """How a step ended.

    Attributes:
        wait_status: as ``os.waitpid`` gives it; ``None`` at the deadline.
        output: the start of what it wrote.
        refusal: why it was not run at all; empty where it was.
        is_overfull: it was ended because of what it wrote into its folder.
    """

    wait_status: int | None
    output: str
    refusal: str = ""
    is_overfull: bool = False


def run_job(sandbox: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run the steps of a job until one fails.

    Args:
        sandbox: the sandbox's modules ``jail``, ``launcher`` and ``folder``.
        job: ``steps``, ``layers`` (keys of ``jail.LAYERS``), ``folder``, ``scratch`` and ``n_extra_tasks``.

    Returns:
        ``status``, ``detail`` and ``seconds``.
    """
    started = time.monotonic()
    n_tasks = sandbox.jail.task_allowance() + int(job["n_extra_tasks"])
    in_namespaces = "namespaces" in job["layers"]
    status, detail = "passed", ""
    steps: Sequence[Step] = job["steps"]
    for number, step in enumerate(steps):
        ending = _run_step(sandbox, step, job, n_tasks)
        if not sandbox.jail.kill_descendants(os.getpid()):
            status, detail = "infra_error", "processes of the program could not be ended"
            break
        status, detail = _judge(step, ending, is_last=number == len(steps) - 1, in_namespaces=in_namespaces)
        if status != "passed":
            break
    return {"status": status, "detail": detail, "seconds": time.monotonic() - started}


def _run_step(sandbox: Any, step: Step, job: Mapping[str, Any], n_tasks: int) -> Ending:
    readable, writable = os.pipe()
    told, tell = os.pipe()  # closed by exec: only what could not become the command can write there
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            sandbox.jail.die_with(parent)
            os.setsid()
            sandbox.jail.keep_only([writable, tell])
            os.dup2(writable, 1)
            os.dup2(writable, 2)
            os.close(writable)
            limits = _limits(sandbox.jail, step, job, n_tasks)
            sandbox.launcher.become(
                job["layers"], limits, step["command"], lambda reason: os.write(tell, reason.encode())
            )
        except BaseException as error:  # noqa: BLE001 (the parent reads it)
            os.write(tell, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(_NOT_STARTED)
    os.close(writable)
    os.close(tell)
    try:
        ending = _await(sandbox, child, readable, step["seconds"], job["folder"])
        os.set_blocking(told, False)
        with contextlib.suppress(BlockingIOError):  # a process that was not ended yet may hold the other end
            if reason := os.read(told, _MAX_KEPT_BYTES):
                return ending._replace(refusal=reason.decode("utf-8", "replace"))
        return ending
    finally:
        os.close(readable)
        os.close(told)


def _limits(jail: Any, step: Step, job: Mapping[str, Any], n_tasks: int) -> Any:
    return jail.Limits(
        step["seconds"],
        step["memory_bytes"],
        n_tasks,
        readable=tuple(step["readable"]),
        writable=tuple(step["writable"]),
        scratch=job["scratch"] if "namespaces" in job["layers"] else "",
        kind=step["kind"],
        counts_data_only=step["counts_data_only"],
    )


def _await(sandbox: Any, child: int, readable: int, seconds: float, folder: str) -> Ending:
    """Wait for the end or the deadline, which moves back by the time that the step waited for a processor."""
    started = looked = time.monotonic()
    kept, is_open = b"", True
    while True:
        if is_open and select.select([readable], [], [], _POLL_SECONDS)[0]:
            chunk = os.read(readable, 1 << 16)  # all of it is read, so that no program is stalled by what it prints
            is_open = bool(chunk)
            kept = (kept + chunk)[:_MAX_KEPT_BYTES]
        elif not is_open:
            time.sleep(_POLL_SECONDS)
        ended, wait_status = os.waitpid(child, os.WNOHANG)
        if ended:
            while is_open and len(kept) < _MAX_KEPT_BYTES and select.select([readable], [], [], 0)[0]:
                chunk = os.read(readable, _MAX_KEPT_BYTES)
                is_open = bool(chunk)
                kept = (kept + chunk)[:_MAX_KEPT_BYTES]
            return Ending(wait_status, kept.decode("utf-8", "replace"))
        now = time.monotonic()
        if now - looked > _SECONDS_BETWEEN_LOOKS:
            looked = now
            if sandbox.folder.is_overfull(folder):
                return Ending(None, "", is_overfull=True)
        if now - started > seconds:
            waited = sandbox.jail.seconds_without_processor([child, *sandbox.jail.descendants(child)])
            if now - started > min(seconds + waited, sandbox.jail.MAX_STRETCH * seconds):
                return Ending(None, kept.decode("utf-8", "replace"))


def _judge(step: Step, ending: Ending, *, is_last: bool, in_namespaces: bool) -> tuple[str, str]:
    if ending.refusal:
        return "infra_error", _one_line(f"{step['name']}: {ending.refusal}")
    if ending.is_overfull:
        return "crashed", f"{step['name']}: it wrote more files than a program may have"
    if ending.wait_status is None:
        return "timeout", f"{step['name']}: not done within {step['seconds']:g} s"
    code, number = _ended(ending.wait_status, in_namespaces=in_namespaces)
    if number == signal.SIGXCPU:
        return "timeout", f"{step['name']}: too much processor time"
    how = f"exit code {code}" if number is None else f"signal {number}"
    if number in set(signal.Signals):
        how = signal.Signals(number).name
    if code == 0:
        return "passed", ""
    detail = _one_line(f"{step['name']}: {how}; {_telling_line(ending.output)}".removesuffix("; "))
    if is_last and code == REFUSED:
        return "refused", detail
    if any(word in ending.output for word in _OUT_OF_MEMORY):
        return "memory", detail
    # An assertion of C++ ends by SIGABRT: that is a failed test and no crash.
    return ("failed" if code is not None or how == "SIGABRT" else "crashed"), detail


def _ended(wait_status: int, *, in_namespaces: bool) -> tuple[int | None, int | None]:
    """Exit code, or the signal that ended it, which the first process of a namespace passes on as 128 + its number."""
    if os.WIFSIGNALED(wait_status):
        return None, os.WTERMSIG(wait_status)
    code = os.WEXITSTATUS(wait_status)
    signalled = in_namespaces and code - _SIGNALLED in set(signal.Signals)
    return (None, code - _SIGNALLED) if signalled else (code, None)


def _telling_line(output: str) -> str:
    """The first line that names an error, else the first."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower() or "assert" in line.lower()), next(iter(lines), ""))


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:_MAX_DETAIL]


def main() -> None:
    """Read the job, run it, answer."""
    # Python put this folder first; a module here must not hide one of the standard library.
    del sys.path[0]
    package = types.ModuleType("hf_select_sandbox")
    package.__path__ = [str(Path(sys.argv[1]).resolve())]
    sys.modules[package.__name__] = package
    names = ("jail", "launcher", "folder")
    sandbox = types.SimpleNamespace(**{name: import_module(f"{package.__name__}.{name}") for name in names})
    job = json.loads(sys.stdin.buffer.read())
    answer_to = os.dup(1)
    sandbox.jail.keep_only([answer_to])
    sandbox.jail.hide()  # or a program could open the way of the answer through /proc
    sandbox.jail.adopt_orphans()
    answer = run_job(sandbox, job)
    os.write(answer_to, json.dumps({**answer, "nonce": job["nonce"]}).encode("ascii"))


if __name__ == "__main__":
    main()
