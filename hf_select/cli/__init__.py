"""The command line: ``hf-select methods``, ``select``, ``compare``, ``push`` and ``completion``.

    words ──> command.py ──> input.py: everything checked, rows loaded ──> reading.py: every pass once
                                                                                │
                              output.py: written beside, then moved into place <┴── picks, plots, report

What a command has to say goes to the standard output, everything else to the standard error; ``ending.py`` has the exit
statuses.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from hf_select.cli.ending import DONE, INTERRUPTED, READER_LEFT, TERMINATED, cut_off, failed, sigterm_ends
from hf_select.errors import ConfigError, HfSelectError
from hf_select.termination import Terminated

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after the program's name; ``None`` for the process's own.

    Returns:
        The exit status.
    """
    arguments: Namespace | None = None
    try:
        _check_working_folder()
        from hf_select.cli.command import parse

        with sigterm_ends():
            arguments = parse(sys.argv[1:] if argv is None else argv)
            arguments.run(arguments)
            sys.stdout.flush()
    except HfSelectError as error:
        return failed(error, arguments)
    except KeyboardInterrupt:
        cut_off("Interrupted", arguments)
        return INTERRUPTED
    except Terminated:
        cut_off("Terminated", arguments)
        return TERMINATED
    except BrokenPipeError:  # the reader of the output, such as `head`, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_LEFT
    return DONE


def _check_working_folder() -> None:
    """Refuse to work in a folder that was removed: MKL, below torch, ends the process there with words of its own.

    Raises:
        ConfigError: if it was.
    """
    try:
        os.getcwd()  # noqa: PTH109 (Path.cwd() would do no better)
    except FileNotFoundError as reason:
        raise ConfigError(
            "The working folder was removed; change to another one and run the command there."
        ) from reason
