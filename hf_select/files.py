"""Files that are whole or absent: written beside, flushed to disk, renamed over.

A file is written in a folder of its own beside its place, ``.<name>.<random>.hf_select.tmp``, which its process holds
locked. Such a folder that nobody holds is what a killed process left; the next process that writes there removes it.
``scratch_folder`` gives such a folder for files that are not to stay.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hf_select.crash_point import crash_point
from hf_select.errors import DiskSpaceError, NotWritableError

_SUFFIX = ".hf_select.tmp"
_CONTENT = "content"
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS)
_swept: set[tuple[int, Path]] = set()  # processes and folders they looked through; a fork inherits those of its parent


def replace_file(path: Path, write: Callable[[Path], object], *, n_bytes: int | None = None) -> Path:
    """Write a file so that a reader, or a run that was killed, sees the old one or the new one and nothing between.

    Args:
        path: the file.
        write: writes the content to the path it is given.
        n_bytes: how much that is, for the message where the disk is full; what came so far by default.

    Returns:
        The file.

    Raises:
        DiskSpaceError: if the disk is full; the old file stays.
        NotWritableError: if the folder may not be written.
    """
    n_written = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if (os.getpid(), path.parent) not in _swept:
            sweep(path.parent)
            _swept.add((os.getpid(), path.parent))
        with _folder_beside(path) as folder:
            temporary = folder / _CONTENT
            try:
                write(temporary)
                crash_point("file.written")
                temporary.chmod(0o644)
                _flush(temporary)
                crash_point("file.flushed")
            finally:
                n_written = temporary.stat().st_size if temporary.exists() else 0
            temporary.replace(path)
            crash_point("file.renamed")
        _flush(path.parent)
    except Exception as reason:
        if _is_refused(reason, path):
            raise NotWritableError(
                f"Cannot write to {path.parent} ({reason}). Give another folder, or see that this one may be written."
            ) from reason
        if not is_disk_full(reason):
            raise
        needed = f"more than {n_written}" if n_bytes is None else f"about {n_bytes}"
        raise DiskSpaceError(
            f"No space left for {path}: it needs {needed} bytes and {shutil.disk_usage(path.parent).free} are free. "
            f"Free some space, or give another folder."
        ) from reason
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write plain data as JSON, whole or not at all.

    Args:
        path: the file.
        content: the data; anything JSON does not know is written as its text.

    Returns:
        The file.
    """
    return write_bytes(path, json_text(content).encode("utf-8"))


def json_text(content: Any) -> str:
    """Plain data as the text that ``write_json`` writes.

    Args:
        content: the data; anything JSON does not know becomes its text.

    Returns:
        The text.
    """
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes, whole or not at all.

    Args:
        path: the file.
        content: the bytes.

    Returns:
        The file.
    """
    return replace_file(path, lambda temporary: temporary.write_bytes(content), n_bytes=len(content))


def sweep(folder: Path) -> int:
    """Remove what killed processes left of files they were writing; what a live process writes stays.

    Args:
        folder: where to look; not below it.

    Returns:
        How many there were.
    """
    n_removed = 0
    for left in folder.glob(f".*{_SUFFIX}"):
        handle = _opened(left)
        if _lock(handle):
            shutil.rmtree(left, ignore_errors=True)  # another process may sweep it as well
            n_removed += 1
        _close(handle)
    return n_removed


@contextlib.contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A folder where temporary files go, gone at the end; those that killed processes left there go as well.

    Args:
        name: what it is for.

    Yields:
        Path: the folder, empty.
    """
    place = Path(tempfile.gettempdir())
    sweep(place)
    with _folder_beside(place / name) as folder:
        yield folder


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that the disk, or what one may use of it, is full.

    Args:
        error: what was raised; libraries that are not written in Python say it in words alone.

    Returns:
        True if it does.
    """
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)


def require_free_space(folder: Path, n_bytes: int) -> None:
    """Stop before long work if its output will not fit.

    Args:
        folder: where the output goes; need not exist yet.
        n_bytes: how much is about to be written.

    Raises:
        DiskSpaceError: if less is free.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise DiskSpaceError(
            f"{folder} needs about {n_bytes / 1e6:.0f} MB and {free / 1e6:.0f} MB are free; free some space or give "
            f"another folder."
        )


def _is_refused(error: BaseException, path: Path) -> bool:
    """Whether an error says that a file may not be written where it is to lie; its writer may be refused elsewhere."""
    if not isinstance(error, OSError) or error.errno not in _REFUSALS:
        return False
    about = error.filename
    return about is None or _SUFFIX in str(about) or path.is_relative_to(str(about))


@contextlib.contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder beside a file, held by this process, gone at the end."""
    folder = handle = None
    while folder is None:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent))
        handle = _opened(folder)
        if _lock(handle) is False or not folder.exists():  # a sweep of another process came before the lock
            _close(handle)
            folder = None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _close(handle)


def _opened(path: Path) -> int | None:
    """A handle of a file or folder; ``None`` where there is none, folders have none, or it is another user's."""
    if sys.platform == "win32" and path.is_dir():
        return None
    try:
        return os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    except (FileNotFoundError, PermissionError):
        return None


def _close(handle: int | None) -> None:
    """Close a handle, and with it give up its lock."""
    if handle is not None:
        os.close(handle)


def _lock(handle: int | None) -> bool | None:
    """Lock a folder without waiting: done, or held by another; ``None`` where it cannot be known."""
    if sys.platform == "win32" or handle is None:
        return None
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _flush(path: Path) -> None:
    """Have a file, or the names in a folder, written to disk; some file systems do not do it for a folder."""
    handle = _opened(path)
    try:
        if handle is not None:
            os.fsync(handle)
    except OSError as reason:
        if reason.errno != errno.EINVAL:
            raise
    finally:
        _close(handle)
