"""A disk that is found full at one of the calls that take space on it."""

import errno
import os
import tempfile
from pathlib import Path

from hf_select.signals import store as store_module


def full_at(patch, n):
    """Let the ``n``-th call that takes space on the disk find it full; gives the list of calls."""
    calls = []

    def counted(name, real):
        def call(*args, **kwargs):
            calls.append(name)
            if len(calls) == n:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        return call

    patch.setattr(tempfile, "mkdtemp", counted("folder", tempfile.mkdtemp))
    patch.setattr(store_module, "save_file", counted("shard", store_module.save_file))
    patch.setattr(Path, "write_bytes", counted("write", Path.write_bytes))
    patch.setattr(os, "fsync", counted("flush", os.fsync))
    patch.setattr(Path, "replace", counted("rename", Path.replace))
    return calls
