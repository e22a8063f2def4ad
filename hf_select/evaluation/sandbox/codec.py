"""Plain data across the boundary: values as tagged JSON, frames with a length. Standard library only.

Only built-in values cross, and only as data: no class, no method and no code of the program reaches the judge.
A subclass arrives as its base, an iterator as an iterator over its first items, everything else is ``UnportableError``.
"""

from __future__ import annotations

import collections
import decimal
import fractions
import importlib
import itertools
import json
import os
import struct
from collections.abc import Callable
from typing import Any

MAX_FRAME_BYTES = 64 << 20
MAX_DRAINED = 100_000

_EXACT_INT = 1 << 53
_BUILTIN_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (int, float, complex, bool, str, bytes, list, tuple, set, frozenset, dict, range, object, type(None))
}
_ARRAY_KINDS = "biufcSU"
_SURROGATES = range(0xD800, 0xE000)


class UnportableError(Exception):
    """A value that is not plain data, or a frame that is not one."""


def encode(value: object) -> Any:
    """Turn a value into what JSON can carry, without losing its type or its exact number.

    Args:
        value: any object.

    Returns:
        ``None``, a bool, int or str as itself; anything else as ``{tag: content}``.

    Raises:
        UnportableError: if it is not plain data, or nested too deep (or in itself).
    """
    try:
        return _encode(value)
    except RecursionError:
        raise UnportableError("a value nested too deep") from None


def _encode(value: object) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value)
    for base in _BASES:
        if isinstance(value, base):
            return _WRITERS[base](base(value))
    return _encode_other(value, kind)


def _encode_other(value: Any, kind: type) -> Any:
    """Values that no table holds: iterators, deques, exact numbers, numpy's, built-in types."""
    if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
        return {"iterator": _each(itertools.islice(value, MAX_DRAINED))}
    if kind.__module__ == "numpy" and hasattr(kind, "dtype") and hasattr(kind, "tolist"):
        if kind.__name__ != "ndarray":
            return _encode(value.item())
        if value.dtype.kind in _ARRAY_KINDS:
            return {"array": [value.dtype.str, _encode(value.tolist())]}
    if kind.__module__ == "collections" and kind.__name__ == "deque":
        return {"deque": [_each(value), value.maxlen]}
    if kind.__module__ in ("decimal", "fractions") and kind.__name__ in ("Decimal", "Fraction"):
        return {kind.__name__: str(value)}
    if isinstance(value, type) and _BUILTIN_TYPES.get(value.__name__) is value:
        return {"type": value.__name__}
    raise UnportableError(f"a value of type {kind.__name__}")


def _each(values: Any) -> list[Any]:
    return [_encode(value) for value in values]


def _pairs(pairs: Any) -> list[Any]:
    return [[_encode(key), _encode(value)] for key, value in pairs]


def _encode_int(value: int) -> Any:
    return value if -_EXACT_INT < value < _EXACT_INT else {"int": hex(value)}


def _encode_str(value: str) -> Any:
    # JSON would join two lone surrogates into one character.
    if value.isascii() or not any(ord(character) in _SURROGATES for character in value):
        return value
    return {"str": value.encode("utf-8", "surrogatepass").hex()}


_WRITERS: dict[type, Callable[[Any], Any]] = {
    int: _encode_int,
    str: _encode_str,
    float: lambda value: {"float": value.hex()},
    complex: lambda value: {"complex": [value.real.hex(), value.imag.hex()]},
    bytes: lambda value: {"bytes": value.hex()},
    bytearray: lambda value: {"bytearray": value.hex()},
    list: lambda value: {"list": _each(value)},
    tuple: lambda value: {"tuple": _each(value)},
    set: lambda value: {"set": _each(value)},
    frozenset: lambda value: {"frozenset": _each(value)},
    dict: lambda value: {"dict": _pairs(value.items())},
    range: lambda value: {"range": [value.start, value.stop, value.step]},
    type({}.keys()): lambda value: {"keys": _each(value)},
    type({}.values()): lambda value: {"values": _each(value)},
    type({}.items()): lambda value: {"items": _pairs(value)},
}
_BASES: tuple[type, ...] = (int, float, complex, str, bytes, bytearray, dict, tuple, list, set, frozenset)


def _array(kind: str, items: Any) -> Any:
    if kind[1] not in _ARRAY_KINDS:
        raise ValueError(kind)
    return importlib.import_module("numpy").array(_decode(items), dtype=kind)


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "str": lambda content: bytes.fromhex(content).decode("utf-8", "surrogatepass"),
    "float": float.fromhex,
    "complex": lambda content: complex(float.fromhex(content[0]), float.fromhex(content[1])),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "list": lambda content: [_decode(item) for item in content],
    "tuple": lambda content: tuple([_decode(item) for item in content]),
    "set": lambda content: {_decode(item) for item in content},
    "frozenset": lambda content: frozenset([_decode(item) for item in content]),
    "dict": lambda content: {_decode(key): _decode(value) for key, value in content},
    "range": lambda content: range(*content),
    "keys": lambda content: dict.fromkeys([_decode(key) for key in content]).keys(),
    "values": lambda content: dict(enumerate([_decode(value) for value in content])).values(),
    "items": lambda content: {_decode(key): _decode(value) for key, value in content}.items(),
    "iterator": lambda content: iter([_decode(item) for item in content]),
    "deque": lambda content: collections.deque([_decode(item) for item in content[0]], content[1]),
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "array": lambda content: _array(*content),
    "type": lambda content: _BUILTIN_TYPES[content],
}


def decode(wire: Any) -> Any:
    """The value that ``encode`` turned into ``wire``.

    Args:
        wire: what came; may be hostile.

    Returns:
        A built-in value.

    Raises:
        UnportableError: if it is not something that ``encode`` writes.
    """
    try:
        return _decode(wire)
    except _MALFORMED as error:
        raise UnportableError("a malformed value") from error


_MALFORMED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, ImportError, RecursionError)


def _decode(wire: Any) -> Any:
    if wire is None or type(wire) in (bool, int, str):
        return wire
    ((tag, content),) = wire.items()
    return _READERS[tag](content)


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
