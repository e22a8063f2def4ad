"""Where a command speaks: results on the standard output, everything else on the standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

logger = logging.getLogger("hf_select")

_PACKAGE = str(Path(__file__).resolve().parents[1])


@dataclass
class Console:
    """The voice of one process; only the main one is heard.

    Attributes:
        out: the standard output.
        as_json: the result is told as JSON, and nothing else on the standard output.
        is_main: whether this is the main process of a launch.
        warnings: what this library warned of, for the report.
    """

    out: TextIO
    as_json: bool
    is_main: bool
    warnings: list[str] = field(default_factory=list)

    @property
    def shows_progress(self) -> bool:
        """Whether progress bars are shown: on a terminal alone."""
        return self.is_main and sys.stderr.isatty()

    def tell(self, text: str, data: Any) -> None:
        """Tell a result.

        Args:
            text: for people.
            data: the same for programs, plain data.
        """
        if not self.is_main:
            return
        shown = json.dumps(data, indent=2, ensure_ascii=False, default=str) if self.as_json else text
        self.out.write(shown + "\n")
        self.out.flush()


@contextlib.contextmanager
def console(*, as_json: bool) -> Iterator[Console]:
    """Set up what a command says and leave everything as it was found.

    Args:
        as_json: tell results as JSON.

    Yields:
        Console: to tell results with.
    """
    found = Console(sys.stdout, as_json, is_main=os.environ.get("RANK", "0") == "0")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(_Once())
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO if found.is_main else logging.ERROR)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _teller(found)
            yield found
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _Once(logging.Filter):
    """Lets a message through once: many selections from one reading leave out the same rows."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        is_new = message not in self._told
        self._told.add(message)
        return is_new


def _teller(found: Console) -> Any:
    """What takes the place of ``warnings.showwarning``: our own warnings as plain lines, and kept for the report."""
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
        if not found.is_main:
            return
        if not str(Path(filename).resolve()).startswith(_PACKAGE):
            others(message, category, filename, lineno, *rest)
        elif str(message) not in found.warnings:
            found.warnings.append(str(message))
            logger.warning("Warning: %s", message)

    return show
