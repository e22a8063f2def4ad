"""How a command ends: its exit status, what it says on the way out, and SIGTERM made to end it like Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from hf_select.errors import DiskSpaceError, EndpointError, HfSelectError, HubError, SandboxUnavailableError
from hf_select.termination import Terminated, leave_quickly

DONE, FAILED, UNUSABLE, INTERRUPTED, READER_LEFT, TERMINATED = 0, 1, 2, 130, 141, 143
STATUSES = """exit status:
  0    done
  1    the work could not be finished: the message says why and what to do
  2    the command line or its input cannot be used: said before any work
  130  Ctrl-C; finished shards are kept, and the same command goes on behind them
  141  the reader of the output has left, as 'head' does
  143  SIGTERM, with what is said of Ctrl-C
"""

_OUTSIDE = (HubError, EndpointError, DiskSpaceError, SandboxUnavailableError)
_SECONDS_TO_SPEAK = 10.0


@contextlib.contextmanager
def sigterm_ends() -> Iterator[None]:
    """Let SIGTERM leave the work in order, unless somebody else handles it already.

    Yields:
        None: nothing; the work is done inside, and ``Terminated`` is raised in it.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def failed(error: HfSelectError, arguments: Namespace | None) -> int:
    """Tell an error on the standard error, once however many processes were launched.

    Args:
        error: what went wrong.
        arguments: of the command; ``None`` where they could not be read. Its ``is_checked`` says that the work began.

    Returns:
        The exit status.
    """
    has_begun = arguments is not None and arguments.is_checked
    rank, message = os.environ.get("RANK", "0"), f"{type(error).__name__}: {error}"
    if rank == "0" or has_begun:  # during the work a process may fail alone
        _say(message if rank == "0" else f"process {rank}: {message}")
    else:
        time.sleep(_SECONDS_TO_SPEAK)  # the launcher ends all processes with the first; the main one must speak before
    return FAILED if has_begun or isinstance(error, _OUTSIDE) else UNUSABLE


def cut_off(word: str, arguments: Namespace | None) -> None:
    """Say what is left of a command that was ended from outside, and how to go on; the main process alone speaks.

    Args:
        word: what happened, as a sentence without its full stop.
        arguments: of the command; ``None`` where they could not be read.
    """
    leave_quickly()
    if os.environ.get("RANK", "0") != "0":
        return
    said = f"{word}."
    if arguments is not None and "cache_dir" in arguments:
        folder = shard_folder(arguments.cache_dir)
        said += f" Finished shards are kept in {folder}; the same command goes on behind them."
    elif arguments is not None and "repo_id" in arguments:
        said += " The repository has all of the selection or nothing of it; the same command goes on."
    _say(said)


def shard_folder(cache_dir: str | None) -> Path:
    """Where finished shards lie.

    Args:
        cache_dir: as it was given.

    Returns:
        The folder.
    """
    if cache_dir is not None:
        return Path(cache_dir)
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hf_select" / "signals"


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a signal handler
    raise Terminated("Stopped by SIGTERM.")


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
