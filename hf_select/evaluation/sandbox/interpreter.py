"""Which files a Python program needs besides its own: the standard library and the shared libraries.

Standard library only.
"""

from __future__ import annotations

import os
import sys

SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
)
"""What almost every program needs: shared libraries and time zones."""


def library_paths() -> list[str]:
    """What the interpreter that runs this reads from, whatever programs import.

    Returns:
        Files and folders by the names they have and by those they resolve to; they need not exist.
    """
    return with_targets([*SYSTEM, *standard_library(), *(path for path in sys.path if path.startswith("/"))])


def standard_library() -> list[str]:
    """Where the standard library of this interpreter lies, and the shared libraries that come with it."""
    folder = os.__file__.rpartition("/")[0]
    return [folder] if sys.base_prefix == "/usr" else [folder, f"{sys.base_prefix}/lib"]


def with_targets(paths: list[str]) -> list[str]:
    """Paths, and what they are where a link is on the way.

    Args:
        paths: files and folders.

    Returns:
        Each once.
    """
    return list(dict.fromkeys([*paths, *map(os.path.realpath, paths)]))
