"""The worker that is started once, and the supervisor that it forks for every program. Standard library only.

The worker forks before anything is read. The supervisor of one program reads the task and forks the candidate, while no
test exists in its memory; reads the exam and forks the judge; waits for the finding or the deadline; kills; answers.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from typing import cast

from . import candidate, judge
from .codec import read_frame, write_frame
from .jail import (
    MAX_STRETCH,
    JailError,
    Limits,
    adopt_orphans,
    confine,
    die_with,
    hide,
    keep_only,
    kill_descendants,
    reap,
    seconds_without_processor,
    task_allowance,
)
from .message import (
    MAX_FINDING_BYTES,
    NO_MORE_PROGRAMS,
    SUPERVISED,
    SUPERVISOR_LOST,
    Exam,
    Finding,
    Outcome,
    Task,
)

_PRELOADED = (
    "bisect",
    "collections",
    "copy",
    "datetime",
    "functools",
    "heapq",
    "itertools",
    "math",
    "random",
    "typing",
)
"""What programs import most: found in memory instead of on disk by each."""

_SHORTEST_WAIT = 0.01


def serve(descriptor: int) -> None:
    """Supervise programs one after another until the caller goes; never returns.

    This process forks a child *before* it reads anything, and reads nothing itself: its memory, which every later
    program is a copy of, never holds a program or a test.

    Args:
        descriptor: the connection to the caller.
    """
    channel = os.dup(descriptor)
    keep_only([channel])
    hide()
    adopt_orphans()
    n_tasks = task_allowance()
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    worker = os.getpid()
    while True:
        child = os.fork()
        if child == 0:
            code = SUPERVISOR_LOST
            try:
                die_with(worker)
                adopt_orphans()
                code = supervise(channel, n_tasks)
            finally:
                os._exit(code)
        _, status = os.waitpid(child, os.WUNTRACED)
        if status == SUPERVISED:
            continue
        # Frames of the lost program may be left unread: only a new worker is in step with the caller again.
        kill_descendants(worker)
        ended = os.WIFEXITED(status) and os.WEXITSTATUS(status) == NO_MORE_PROGRAMS
        os._exit(0 if ended else SUPERVISOR_LOST)


def supervise(channel: int, n_tasks: int) -> int:
    """Run one program to its verdict.

    Args:
        channel: the connection to the caller.
        n_tasks: processes and threads that the user may have.

    Returns:
        ``SUPERVISED``, or ``NO_MORE_PROGRAMS`` if the caller has gone, or ``SUPERVISOR_LOST``.
    """
    try:
        task = cast("Task", read_frame(channel))
    except (EOFError, OSError):
        return NO_MORE_PROGRAMS
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    limits = Limits(task["seconds"], task["memory_bytes"], n_tasks)
    started = time.monotonic()
    run = _run_in_process if task["in_process"] else _run_apart
    exam, processes, findings = run(channel, task, limits)
    finding = _await_finding(findings, processes, task["seconds"], started)
    seconds = time.monotonic() - started
    end = _end(processes[0], processes)
    if not reap() and not kill_descendants(os.getpid()):
        return SUPERVISOR_LOST
    os.chdir("/")
    shutil.rmtree(folder, ignore_errors=True)
    if finding is None:
        finding = Finding(status="timeout", detail=f"no verdict within {task['seconds']:g} s")
    elif finding["status"] == "crashed":
        finding = Finding(status="crashed", detail=f"{finding['detail']}; {end}")
    write_frame(channel, Outcome(nonce=exam["nonce"], seconds=seconds, **finding))
    return SUPERVISED


def _run_apart(channel: int, task: Task, limits: Limits) -> tuple[Exam, list[int], int]:
    """Fork the candidate, read the tests, fork the judge."""
    read_request, write_request = os.pipe()
    read_reply, write_reply = os.pipe()
    program = _spawn([read_request, write_reply], lambda: _candidate(task, limits, read_request, write_reply))
    os.close(read_request)
    os.close(write_reply)
    exam = cast("Exam", read_frame(channel))
    read_finding, write_finding = os.pipe()

    def decide() -> Finding:
        return judge.judge(task, exam, write_request, read_reply)

    decider = _spawn([write_request, read_reply, write_finding], lambda: _announce(task, limits, write_finding, decide))
    for descriptor in (write_request, read_reply, write_finding):
        os.close(descriptor)
    return exam, [program, decider], read_finding


def _run_in_process(channel: int, task: Task, limits: Limits) -> tuple[Exam, list[int], int]:
    """Read the tests, fork one process for the program and its tests."""
    exam = cast("Exam", read_frame(channel))
    read_finding, write_finding = os.pipe()

    def decide() -> Finding:
        return judge.judge_in_process(task, exam)

    program = _spawn([write_finding], lambda: _announce(task, limits, write_finding, decide))
    os.close(write_finding)
    return exam, [program], read_finding


def _spawn(descriptors: list[int], main: Callable[[], object]) -> int:
    """Fork a process of its own session that keeps these descriptors, runs ``main`` and ends."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        die_with(parent)
        os.setsid()
        keep_only(descriptors)
        main()
    finally:
        os._exit(0)


def _candidate(task: Task, limits: Limits, requests: int, replies: int) -> None:
    try:
        confine(task["layers"], limits)
    except JailError as error:
        write_frame(replies, {"refused": str(error)})
        return
    candidate.answer(task, requests, replies)


def _announce(task: Task, limits: Limits, descriptor: int, decide: Callable[[], Finding]) -> None:
    try:
        confine(task["layers"], limits)
        finding = decide()
    except JailError as error:
        finding = Finding(status="refused", detail=f"the jail is not complete: {error}")
    judge.announce(descriptor, finding)


def _await_finding(findings: int, processes: list[int], seconds: float, started: float) -> Finding | None:
    """Wait for the judge until the deadline, which moves back by the time that the program waited for a processor."""
    while True:
        allowed = min(seconds + seconds_without_processor(processes), MAX_STRETCH * seconds)
        left = started + allowed - time.monotonic()
        if left <= 0:
            return None
        if select.select([findings], [], [], max(left, _SHORTEST_WAIT))[0]:
            break
    written = os.read(findings, MAX_FINDING_BYTES)
    try:
        told = json.loads(written)
        return Finding(status=str(told["status"]), detail=str(told["detail"])[:300])
    except (ValueError, TypeError, KeyError):
        return Finding(status="crashed", detail="the judge ended without a verdict")


def _end(program: int, processes: list[int]) -> str:
    """Kill the processes; tells how the program ended."""
    for process in processes:
        os.kill(process, signal.SIGKILL)
    how = "still running"
    for process in processes:
        _, status = os.waitpid(process, 0)
        if process == program and os.WIFEXITED(status):
            how = f"it left with exit code {os.WEXITSTATUS(status)}"
        elif process == program:
            how = f"it ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return how
