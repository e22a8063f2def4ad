"""The process that holds the tests and decides. It sees the program only as data that comes back from calls.

Standard library only.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from .candidate import load
from .codec import UnportableError, decode, encode, one_line, read_frame, write_frame
from .message import MAX_FINDING_BYTES, Exam, Finding, Task


class Decided(BaseException):
    """The verdict is known before the tests are through; passes every ``except Exception`` of a test."""

    def __init__(self, status: str, detail: str) -> None:
        """Keep the verdict.

        Args:
            status: one of ``verdict.STATUSES``.
            detail: why.
        """
        super().__init__(status, detail)
        self.finding = Finding(status=status, detail=one_line(detail))


class Opaque:
    """Stands for a returned object that is not plain data: true or false, not ``None``, equal to nothing."""

    def __init__(self, description: str, is_true: bool) -> None:
        """Keep what is known.

        Args:
            description: for messages.
            is_true: its truth value.
        """
        self.description = description
        self.is_true = is_true

    def __bool__(self) -> bool:
        """As the program's object."""
        return self.is_true

    def __repr__(self) -> str:
        """For the message of a failed test."""
        return f"<{self.description}, which is not plain data>"


def judge(task: Task, exam: Exam, requests: int, replies: int) -> Finding:
    """Run the tests against a program in another process.

    Args:
        task: names the functions that the tests call.
        exam: the tests.
        requests: descriptor to write calls to.
        replies: descriptor to read answers from.

    Returns:
        The verdict.
    """

    def run() -> None:
        _read_reply(replies)
        sys.path.extend(task["site_packages"])
        namespace: dict[str, Any] = {"__name__": "__judge__"}
        _execute(exam["setup"], "<setup>", namespace)
        for name in task["entry_points"]:
            namespace[name] = _stand_in(name, requests, replies)
        _run_tests(task, exam, namespace)

    return _decide(run)


def judge_in_process(task: Task, exam: Exam) -> Finding:
    """Run the tests in the process and the namespace of the program, which can forge the outcome.

    Args:
        task: the program.
        exam: the tests.

    Returns:
        The verdict.
    """

    def run() -> None:
        namespace = load(task)
        _execute(exam["setup"], "<setup>", namespace)
        _run_tests(task, exam, namespace)

    return _decide(run)


def _run_tests(task: Task, exam: Exam, namespace: dict[str, Any]) -> None:
    _execute(exam["tests"], "<tests>", namespace)
    if exam["check_call"]:
        namespace["check"](namespace[task["entry_points"][0]])


def announce(descriptor: int, finding: Finding) -> None:
    """Write the verdict.

    Args:
        descriptor: the verdict pipe.
        finding: the verdict.
    """
    os.write(descriptor, json.dumps(finding).encode("ascii")[:MAX_FINDING_BYTES])


def _execute(sources: list[str], name: str, namespace: dict[str, Any]) -> None:
    for source in sources:
        exec(compile(source, name, "exec", dont_inherit=True), namespace)  # noqa: S102 (the benchmark's tests)


def _decide(run: Callable[[], None]) -> Finding:
    try:
        run()
    except Decided as decided:
        return decided.finding
    except AssertionError as error:
        return Finding(status="failed", detail=one_line(f"a test does not hold: {one_line(error)}".removesuffix(": ")))
    except MemoryError:
        return Finding(status="memory", detail="more memory than allowed")
    except BaseException as error:  # noqa: BLE001 (a test may fail by any exception)
        return Finding(status="failed", detail=one_line(f"{type(error).__name__}: {one_line(error)}"))
    return Finding(status="passed", detail="")


def _stand_in(name: str, requests: int, replies: int) -> Callable[..., Any]:
    """A function that asks the program's function of the same name."""

    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        try:
            request = {
                "function": name,
                "arguments": [encode(argument) for argument in arguments],
                "keywords": {key: encode(value) for key, value in keywords.items()},
            }
        except UnportableError as error:
            raise Decided("refused", f"a test passes {error}; this problem needs in_process=True") from None
        try:
            write_frame(requests, request)
        except OSError:
            raise Decided("crashed", "the program stopped answering") from None
        reply = _read_reply(replies)
        try:
            for position, wire in reply.get("changes", ()):
                _become(arguments[position], decode(wire))
            if "opaque" in reply:
                return Opaque(one_line(reply["opaque"]), reply["is_true"] is True)
            return decode(reply["value"])
        except (UnportableError, TypeError, ValueError, KeyError, IndexError) as error:
            raise Decided("failed", f"the program answered with {one_line(error)}") from None

    stand_in.__name__ = stand_in.__qualname__ = name
    return stand_in


def _read_reply(replies: int) -> dict[str, Any]:
    """The next answer of the program; its exception is raised here as its nearest built-in base."""
    try:
        reply = read_frame(replies)
    except (EOFError, OSError):
        raise Decided("crashed", "the program stopped answering") from None
    except UnportableError as error:
        raise Decided("failed", f"the program answered with {error}") from None
    if not isinstance(reply, dict):
        raise Decided("failed", "the program answered with a malformed reply")
    if "refused" in reply:
        raise Decided("refused", f"the jail is not complete: {one_line(reply['refused'])}")
    if "error" in reply:
        _raise_again(str(reply["error"]), str(reply.get("base")), one_line(reply.get("detail", "")))
    return reply


def _raise_again(name: str, base: str, detail: str) -> NoReturn:
    if name == "Unportable":
        raise Decided("failed", f"the program returned {detail}, which is not plain data")
    if name == "MemoryError":
        raise Decided("memory", "more memory than allowed")
    kind = getattr(builtins, base, None)
    text = detail if name == base else f"{name}: {detail}"
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            error = kind(text)
        except TypeError:  # UnicodeDecodeError and its like want more than a text
            raise Decided("failed", f"{name}: {detail}") from None
        raise error
    raise Decided("failed", f"{name}: {detail}")


def _become(argument: Any, changed: Any) -> None:
    """Give an argument of a test the content that the program left in its copy."""
    if isinstance(argument, list | bytearray) and isinstance(changed, list | bytearray):
        argument[:] = changed
    elif isinstance(argument, dict | set) and isinstance(changed, dict | set):
        argument.clear()
        argument.update(changed)
    else:
        raise ValueError("a change of something that cannot change")
