"""Fields of methods, as ``--set name=value`` gives them, read by the type that the method declares."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hf_select.errors import ConfigError, unknown_name
from hf_select.methods import METHODS

_ORDER = (type(None), bool, Literal, int, float, tuple, str)  # the stricter form of a value comes first


def fields_of(words: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read the fields of the chosen methods.

    Args:
        words: ``"field=value"`` where one method is chosen, ``"method.field=value"`` otherwise.
        names: the chosen methods.

    Returns:
        For each of them its fields.

    Raises:
        UnknownNameError: if a word names a method that is not chosen, or a method there is not.
        ConfigError: if a word has another form, a field comes twice, or a value does not fit its field.
    """
    for name in names:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for word in words:
        place, equals, text = word.partition("=")
        method, dot, field = place.rpartition(".")
        if not equals or not field or (not dot and len(names) > 1):
            form = "field=value" if len(names) == 1 else "method.field=value"
            raise ConfigError(f"--set {word!r} is not of the form '{form}', for example '{_example(names)}'.")
        method = method if dot else names[0]
        if method not in found:
            raise unknown_name("method in --set", method, found)
        if field in found[method]:
            raise ConfigError(f"--set gives {field!r} of {method!r} twice; give it once.")
        found[method][field] = _read_field(method, field, text)
    return found


def _read_field(method: str, field: str, text: str) -> Any:
    """The value of a field; a field that there is not is left to ``make``, which says so."""
    hint = get_type_hints(METHODS[method]).get(field)
    if hint is None:
        return text
    for form in sorted(_members(hint), key=_rank):
        try:
            return _convert(text, form)
        except ValueError:
            continue
    forms = " or ".join(_told(form) for form in sorted(_members(hint), key=_rank))
    raise ConfigError(f"--set {field}={text!r}: {method!r} takes {forms} there.")


def _members(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(member for part in get_args(hint) for member in _members(part))
    return (hint,)


def _rank(form: Any) -> int:
    kind = get_origin(form) or form
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _convert(text: str, form: Any) -> Any:
    """The text as one form of value; ``ValueError`` where it is not of that form."""
    kind, word = get_origin(form) or form, text.strip().lower()
    if kind is type(None) and word in ("none", "null"):
        return None
    if kind is bool and word in ("true", "false"):
        return word == "true"
    if kind is tuple:
        return tuple(_convert(part, _element(form)) for part in text.split(",") if part)
    if kind in (int, float, str):
        return kind(text)
    choices = {str(choice): choice for choice in get_args(form)} if kind is Literal else {}
    if text not in choices:
        raise ValueError(text)
    return choices[text]


def _element(form: Any) -> Any:
    """What a tuple holds."""
    return get_args(form)[0] if get_args(form) else str


def _told(form: Any) -> str:
    kind = get_origin(form) or form
    if kind is Literal:
        return " or ".join(repr(choice) for choice in get_args(form))
    if kind is tuple:
        return f"values separated by commas, each {_told(_element(form))}"
    told = {type(None): "none", bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return told.get(kind, f"a value that only the Python interface can give ({form})")


def _example(names: Sequence[str]) -> str:
    for name in names:
        for field in fields(METHODS[name]):  # type: ignore[arg-type]  # every method is a dataclass
            return f"{field.name}={field.default}" if len(names) == 1 else f"{name}.{field.name}={field.default}"
    return "n_clusters=20" if len(names) == 1 else "cdas.n_clusters=20"
