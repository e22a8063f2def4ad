"""Files that are whole or absent: written beside, flushed to disk, renamed over."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_select.errors import DiskSpaceError


def replace_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file so that a reader, or a run that was killed, sees the old one or the new one and nothing between.

    Args:
        path: the file.
        write: writes the content to the path it is given.

    Returns:
        The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write plain data as JSON, whole or not at all.

    Args:
        path: the file.
        content: the data; anything JSON does not know is written as its text.

    Returns:
        The file.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
    return replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


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
