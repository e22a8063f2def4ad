"""What the sandbox says about one program, and what it is asked to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal["passed", "failed", "timeout", "memory", "crashed", "refused", "infra_error"]

STATUSES: tuple[Status, ...] = get_args(Status)
"""``passed``: every test held. ``failed``: a test did not hold, or the program raised. ``timeout``: no verdict before
the deadline. ``memory``: the program asked for more than it may have. ``crashed``: its process ended without answering.
``refused``: it was not run (a layer of the jail is missing, or its tests cannot be asked across the boundary).
``infra_error``: the sandbox itself failed, twice; says nothing about the program and is no failure of the model."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one program.

    Attributes:
        passed: whether all tests held; equal to ``status == "passed"``.
        status: one of ``STATUSES``.
        detail: why, one printable line of at most 300 characters; empty where it passed.
        level: the level of the sandbox that contained the program, a key of ``LEVELS``.
        seconds: from the start of the program to its verdict.
        in_process: the tests ran in the process of the program, which could have forged the verdict.
    """

    passed: bool
    status: Status
    detail: str
    level: str
    seconds: float
    in_process: bool


@dataclass(frozen=True)
class Program:
    """One program and the tests it has to pass.

    Attributes:
        completion: the whole source text of the program (prompt and body).
        entry_points: names of the functions that the tests call.
        tests: trusted source texts, executed in order; an exception is a failure.
        setup: trusted source texts, executed before the tests and without the program.
        check_call: call ``check(<first entry point>)`` after the tests (the form of HumanEval).
        in_process: run the tests inside the process of the program; for tests that use its classes.
        timeout: seconds for this program; ``None`` for the sandbox's own limit.
        max_memory_bytes: address space for this program; ``None`` for the sandbox's own limit.
    """

    completion: str
    entry_points: tuple[str, ...]
    tests: tuple[str, ...]
    setup: tuple[str, ...] = ()
    check_call: bool = False
    in_process: bool = False
    timeout: float | None = None
    max_memory_bytes: int | None = None
