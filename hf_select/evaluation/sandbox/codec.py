"""Plain data across the boundary: values as tagged JSON, frames with a length. Standard library only.

Only built-in values cross, and only as data: no class, no method and no code of the program reaches the judge.
A subclass arrives as its base, an iterator as an iterator over its first items, everything else is ``UnportableError``.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import struct
from collections.abc import Callable
from typing import Any, cast

MAX_FRAME_BYTES = 8 << 20
MAX_DEPTH = 200
MAX_DRAINED = 100_000

_EXACT_INT = 1 << 53
_BUILTIN_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (int, float, complex, bool, str, bytes, list, tuple, set, frozenset, dict, range, object, type(None))
}
_SURROGATES = range(0xD800, 0xE000)


class UnportableError(Exception):
    """A value that is not plain data, or a frame that is not one."""


def encode(value: object, depth: int = 0) -> Any:
    """Turn a value into what JSON can carry, without losing its type or its exact number.

    Args:
        value: any object.
        depth: how deep the value is nested in what is encoded.

    Returns:
        ``None``, a bool, int or str as itself; anything else as ``{tag: content}``.

    Raises:
        UnportableError: if it is not plain data, or nested deeper than ``MAX_DEPTH``.
    """
    if depth > MAX_DEPTH:
        raise UnportableError(f"a value nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if value is None or kind is bool:
        return value
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value, depth + 1)
    for base in _BASES:
        if isinstance(value, base):
            return _WRITERS[base](base(value), depth + 1)
    return _encode_other(value, kind, depth + 1)


def _encode_other(value: Any, kind: type, depth: int) -> Any:
    """Values that no table holds: iterators, views, deques, numpy's, built-in types."""
    if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
        return {"iterator": _each(itertools.islice(value, MAX_DRAINED), depth)}
    if kind.__module__ == "numpy" and hasattr(kind, "dtype") and hasattr(kind, "tolist"):
        if kind.__name__ != "ndarray":
            return encode(value.item(), depth)
        if value.dtype.kind in "biufcSU":
            return {"array": [value.dtype.str, encode(value.tolist(), depth)]}
    if kind.__module__ == "collections" and kind.__name__ == "deque":
        return {"deque": [_each(value, depth), value.maxlen]}
    if kind.__module__ in ("decimal", "fractions") and kind.__name__ in ("Decimal", "Fraction"):
        return {kind.__name__: str(value)}
    if isinstance(value, type) and _BUILTIN_TYPES.get(value.__name__) is value:
        return {"type": value.__name__}
    raise UnportableError(f"a value of type {kind.__name__}")


def _each(values: Any, depth: int) -> list[Any]:
    return [encode(value, depth) for value in values]


def _pairs(pairs: Any, depth: int) -> list[Any]:
    return [[encode(key, depth), encode(value, depth)] for key, value in pairs]


def _encode_int(value: int, depth: int) -> Any:
    return value if -_EXACT_INT < value < _EXACT_INT else {"int": hex(value)}


def _encode_str(value: str, depth: int) -> Any:
    # JSON would join two lone surrogates into one character.
    if value.isascii() or not any(ord(character) in _SURROGATES for character in value):
        return value
    return {"str": value.encode("utf-8", "surrogatepass").hex()}


_WRITERS: dict[type, Callable[[Any, int], Any]] = {
    int: _encode_int,
    str: _encode_str,
    float: lambda value, depth: {"float": value.hex()},
    complex: lambda value, depth: {"complex": [value.real.hex(), value.imag.hex()]},
    bytes: lambda value, depth: {"bytes": value.hex()},
    bytearray: lambda value, depth: {"bytearray": value.hex()},
    list: lambda value, depth: {"list": _each(value, depth)},
    tuple: lambda value, depth: {"tuple": _each(value, depth)},
    set: lambda value, depth: {"set": _each(value, depth)},
    frozenset: lambda value, depth: {"frozenset": _each(value, depth)},
    dict: lambda value, depth: {"dict": _pairs(value.items(), depth)},
    range: lambda value, depth: {"range": [value.start, value.stop, value.step]},
    type({}.keys()): lambda value, depth: {"keys": _each(value, depth)},
    type({}.values()): lambda value, depth: {"values": _each(value, depth)},
    type({}.items()): lambda value, depth: {"items": _pairs(value, depth)},
}
_BASES: tuple[type, ...] = (int, float, complex, str, bytes, bytearray, dict, tuple, list, set, frozenset)
_READERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "str": lambda content: bytes.fromhex(content).decode("utf-8", "surrogatepass"),
    "float": float.fromhex,
    "complex": lambda content: complex(float.fromhex(content[0]), float.fromhex(content[1])),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "list": lambda content: [decode(item) for item in content],
    "tuple": lambda content: tuple([decode(item) for item in content]),
    "set": lambda content: {decode(item) for item in content},
    "frozenset": lambda content: frozenset([decode(item) for item in content]),
    "dict": lambda content: {decode(key): decode(value) for key, value in content},
    "range": lambda content: range(*content),
    "keys": lambda content: dict.fromkeys([decode(key) for key in content]).keys(),
    "values": lambda content: dict(enumerate([decode(value) for value in content])).values(),
    "items": lambda content: {decode(key): decode(value) for key, value in content}.items(),
    "iterator": lambda content: iter([decode(item) for item in content]),
    "deque": lambda content: _type("collections", "deque")([decode(item) for item in content[0]], content[1]),
    "Decimal": lambda content: _type("decimal", "Decimal")(content),
    "Fraction": lambda content: _type("fractions", "Fraction")(content),
    "array": lambda content: _type("numpy", "array")(decode(content[1]), dtype=content[0]),
    "type": lambda content: _BUILTIN_TYPES[content],
}


def _type(module: str, name: str) -> Callable[..., Any]:
    return cast("Callable[..., Any]", getattr(importlib.import_module(module), name))


def decode(wire: Any) -> Any:
    """The value that ``encode`` turned into ``wire``.

    Args:
        wire: what came; may be hostile.

    Returns:
        A built-in value.

    Raises:
        UnportableError: if it is not something that ``encode`` writes.
    """
    if wire is None or type(wire) in (bool, int, str):
        return wire
    if type(wire) is dict and len(wire) == 1:
        ((tag, content),) = wire.items()
        if tag in _READERS:
            try:
                return _READERS[tag](content)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, ImportError, ArithmeticError) as error:
                raise UnportableError(f"a malformed {tag}") from error
    raise UnportableError("a malformed value")


def frame(message: object) -> bytes:
    """A message as bytes with its length before it.

    Args:
        message: anything JSON can carry.

    Returns:
        Four bytes of length, then ASCII JSON.

    Raises:
        UnportableError: if it is longer than ``MAX_FRAME_BYTES``.
    """
    content = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    if len(content) > MAX_FRAME_BYTES:
        raise UnportableError(f"a message of {len(content)} bytes (at most {MAX_FRAME_BYTES})")
    return struct.pack(">I", len(content)) + content


def unframe(receive: Callable[[int], bytes]) -> Any:
    """Read one message.

    Args:
        receive: returns at most the given number of bytes; none at the end.

    Returns:
        The message.

    Raises:
        EOFError: if the other side has gone.
        UnportableError: if the frame is too long or not JSON.
    """
    (length,) = struct.unpack(">I", _receive_exactly(receive, 4))
    if length > MAX_FRAME_BYTES:
        raise UnportableError(f"a message of {length} bytes (at most {MAX_FRAME_BYTES})")
    try:
        return json.loads(_receive_exactly(receive, length))
    except (ValueError, RecursionError) as error:
        raise UnportableError("a message that is not JSON") from error


def read_frame(descriptor: int) -> Any:
    """``unframe`` from a file descriptor."""
    return unframe(lambda n_bytes: os.read(descriptor, n_bytes))


def write_frame(descriptor: int, message: object) -> None:
    """Write ``frame(message)`` to a file descriptor, whole."""
    remaining = memoryview(frame(message))
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _receive_exactly(receive: Callable[[int], bytes], n_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < n_bytes:
        chunk = receive(min(n_bytes - len(received), 1 << 20))
        if not chunk:
            raise EOFError("the other side has gone")
        received += chunk
    return bytes(received)


def one_line(text: object, max_length: int = 300) -> str:
    """A text that is safe to print and to store: one line, printable, short.

    Args:
        text: anything; its ``str`` may fail.
        max_length: characters to keep.

    Returns:
        The line; what cannot be printed is escaped.
    """
    try:
        content = str(text)[:max_length]
    except BaseException:  # noqa: BLE001 (``__str__`` may be the program's own)
        return "<unprintable>"
    escaped = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in content
    )
    return escaped[:max_length]
