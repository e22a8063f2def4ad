"""Checks of the fields of a method, for its ``__post_init__``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_select.errors import ConfigError


def require_whole(field: str, value: object, minimum: int = 1) -> None:
    """Refuse a field that is not a whole number of at least ``minimum``.

    Args:
        field: its name.
        value: its value.
        minimum: the least that it may be.

    Raises:
        ConfigError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigError(f"{field}={value!r} is not a whole number of at least {minimum}; give one.")


def require_positive(field: str, value: object) -> None:
    """Refuse a field that is not a finite number above 0.

    Args:
        field: its name.
        value: its value.

    Raises:
        ConfigError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigError(f"{field}={value!r} is not a finite number above 0; give one.")


def require_text(field: str, value: object) -> None:
    """Refuse a field that is not text.

    Args:
        field: its name.
        value: its value.

    Raises:
        ConfigError: if it is not.
    """
    if not isinstance(value, str):
        raise ConfigError(f"{field}={value!r} is not text; give a string.")


def require_choice(field: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a field that is not one of the values it may have.

    Args:
        field: its name.
        value: its value.
        choices: those values.

    Raises:
        ConfigError: if it is not.
    """
    if value not in choices:
        raise ConfigError(f"{field}={value!r} is not known; give one of {', '.join(map(repr, choices))}.")
