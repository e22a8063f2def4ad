"""The process that holds the program: it executes it, then answers calls with plain data. Standard library only."""

from __future__ import annotations

import sys
from typing import Any

from .codec import UnportableError, decode, encode, one_line, read_frame, write_frame
from .message import Task

MUTABLE = (list, dict, set, bytearray)
"""Arguments that a function may change in place; the judge is told what they became."""


def load(task: Task) -> dict[str, Any]:
    """Execute the program.

    Args:
        task: holds its source text.

    Returns:
        Its module namespace.

    Raises:
        NameError: if a function that the tests call is not there.
    """
    sys.path.extend(task["site_packages"])
    sys.argv = [""]
    namespace: dict[str, Any] = {"__name__": "__candidate__"}
    exec(compile(task["code"], "<completion>", "exec", dont_inherit=True), namespace)  # noqa: S102 (the task itself)
    for name in task["entry_points"]:
        if not callable(namespace.get(name)):
            raise NameError(f"the program defines no function {name!r}")
    return namespace


def answer(task: Task, requests: int, replies: int) -> None:
    """Execute the program and answer calls until the other side goes.

    Args:
        task: the program.
        requests: descriptor to read calls from.
        replies: descriptor to write answers to; the first one tells whether the program could be executed.
    """
    try:
        namespace = load(task)
        greeting = {}
    except BaseException as error:  # noqa: BLE001 (whatever the program raises is its answer)
        greeting = failure(error)
    write_frame(replies, greeting)
    while True:
        try:
            request = read_frame(requests)
        except EOFError:
            return
        try:
            write_frame(replies, _call(namespace, request))
        except UnportableError as error:
            write_frame(replies, failure(error))


def _call(namespace: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    try:
        arguments = [decode(wire) for wire in request["arguments"]]
        keywords = {name: decode(wire) for name, wire in request["keywords"].items()}
        reply = _reply(namespace[request["function"]](*arguments, **keywords))
        changes = [
            [position, wire]
            for position, argument in enumerate(arguments)
            if isinstance(argument, MUTABLE) and (wire := encode(argument)) != request["arguments"][position]
        ]
    except BaseException as error:  # noqa: BLE001 (whatever the program raises is its answer)
        return failure(error)
    return reply | {"changes": changes} if changes else reply


def _reply(value: object) -> dict[str, Any]:
    """The value; of one that cannot cross (a ``re.Match``) what a test may still ask: whether it is true."""
    try:
        return {"value": encode(value)}
    except UnportableError as error:
        return {"opaque": one_line(error), "is_true": bool(value)}


def failure(error: BaseException) -> dict[str, str]:
    """An exception as plain data.

    Args:
        error: the exception.

    Returns:
        The name of its class, of its nearest built-in base, and its text.
    """
    kind = type(error)
    base = next(parent.__name__ for parent in kind.__mro__ if parent.__module__ == "builtins")
    name = "Unportable" if isinstance(error, UnportableError) else one_line(kind.__name__, 80)
    return {"error": name, "base": base, "detail": one_line(error)}
