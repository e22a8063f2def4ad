"""The tree of errors: every refusal of this library is one of these, and also the builtin a caller would expect.

Each message names what was wanted, what came, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HfSelectError(Exception):
    """Root of every error that this library raises on purpose."""

    def __str__(self) -> str:
        """The message as written (``KeyError`` would print its repr)."""
        return str(self.args[0]) if self.args else ""


class RowError(HfSelectError, ValueError):
    """A row, or the form of a dataset, cannot be read as prompt and response."""


class ColumnError(HfSelectError, KeyError):
    """A column that was asked for is not in the dataset."""


class BudgetError(HfSelectError, ValueError):
    """A budget that is not a positive number of rows, a fraction in (0, 1] or a number of tokens."""


class UnknownNameError(HfSelectError, KeyError):
    """A name that is not in a table (method, template, benchmark, configuration key)."""


class ConfigError(HfSelectError, ValueError):
    """A value of a configuration that cannot be used."""


class MissingSignalError(HfSelectError, KeyError):
    """A method read a signal that was not extracted, or that it did not declare."""


class InvalidScoresError(HfSelectError, ValueError):
    """Scores are not finite and the caller asked to stop in that case."""


class TaskError(HfSelectError, ValueError):
    """A method is not sound for the kind of task it was asked to serve."""


class PackingError(HfSelectError, ValueError):
    """A sample cannot be packed, or a model lets packed samples attend to one another."""


class ModelError(HfSelectError, ValueError):
    """A model or tokenizer does not fit what it is asked to do."""


class MissingExtraError(HfSelectError, ImportError):
    """A package that only some users need is not installed; the message names the extra that brings it."""


class StaleStateError(HfSelectError, ValueError):
    """Stored state belongs to another dataset, model or configuration."""


class CorruptStateError(HfSelectError, ValueError):
    """Stored state is not what was written: cut off, or a byte has changed."""


class CodeExecutionError(HfSelectError, PermissionError):
    """Model-written code was about to run without the user's word."""


class SandboxUnavailableError(HfSelectError, RuntimeError):
    """This machine cannot contain model-written code at the level that was asked for."""


class DiskSpaceError(HfSelectError, OSError):
    """There is not enough free disk space for what is about to be written."""


class NotWritableError(HfSelectError, OSError):
    """A folder may not be written: its rights or its file system forbid it."""


class HubError(HfSelectError, OSError):
    """The Hub refused a request or could not be reached."""


class SecretError(HfSelectError, ValueError):
    """Something that looks like a secret stands in what was about to be published."""


class EndpointError(HfSelectError, ConnectionError):
    """An endpoint cannot be reached, fails again and again, or answers what cannot be read."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that is not in a table, with the nearest known names.

    Args:
        kind: what the name should have been, for example ``"method"``.
        name: the name that came.
        known: all names of the table.

    Returns:
        The error, ready to be raised.
    """
    table = sorted(known)
    return UnknownNameError(f"Unknown {kind} {name!r}. {did_you_mean(name, table)}Available: {', '.join(table)}.")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The nearest known names, as a sentence of a message.

    Args:
        name: the name that came.
        known: all names there are.

    Returns:
        ``"Did you mean 'this'? "``, empty where nothing is near.
    """
    near = difflib.get_close_matches(str(name), sorted(known), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
