"""Places where a run can be killed on purpose, so that tests see what is left and whether the next run continues.

``HF_SELECT_CRASH_AT=shard.stored:3`` kills the process, as ``kill -9`` does, when it passes ``shard.stored`` for the
third time; without the variable a crash point does nothing.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from hf_select.errors import ConfigError, unknown_name

VARIABLE = "HF_SELECT_CRASH_AT"
"""Environment variable ``name:n``: die at the ``n``-th passing, from 1."""

CRASH_POINTS = {
    "file.written": "a file lies complete beside its place, perhaps not on disk yet",
    "file.flushed": "it is on disk, not yet renamed over the old one",
    "file.renamed": "it is in its place, the folder not yet flushed",
    "shard.computed": "a shard of signals is computed, nothing of it written",
    "shard.stored": "it is in the store",
    "manifest.due": "all shards are stored, the manifest is not written",
    "manifest.stored": "the manifest is written",
    "picks.made": "rows are picked, nothing of the selection is written",
    "selection.half_saved": "the scores of a selection lie beside their place, its record is not written",
    "selection.recorded": "its record is written, the scores still lie beside their place",
    "selection.saved": "it is written whole",
    "output.staged": "all files of a command lie in its folder for unfinished ones",
    "output.whole": "the folder says that they are whole, the results that lay there are still in place",
    "output.moving": "the results that lay there are gone, the new ones are being moved into place",
    "reselect.scored": "a training has its new rows picked, the old ones are still in use",
    "reselect.swapped": "the new ones are in use, the ledger does not say so",
    "reselect.noted": "it does, no checkpoint has it",
    "report.due": "the pages of a report are made, none is written",
    "hub.due": "everything for the Hub is ready, nothing is committed",
    "hub.committed": "the Hub has it, nobody knows yet",
}
"""Every crash point by name, with what is done and what is not; each stands at one place of the code."""

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Kill this process here if the environment asks for it.

    Args:
        name: of ``CRASH_POINTS``; each name stands at one place.

    Raises:
        ConfigError: if the environment asks for a crash point that is none.
    """
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return
    wanted, _, n = asked.partition(":")
    if wanted not in CRASH_POINTS:
        raise ConfigError(f"{VARIABLE}: {unknown_name('crash point', wanted, CRASH_POINTS)}")
    if not n.isdecimal() or int(n) < 1:
        raise ConfigError(f"{VARIABLE}={asked!r} must be name:n with n from 1, for example {wanted}:1.")
    _passed[name] += 1
    if name == wanted and _passed[name] == int(n):
        os.kill(os.getpid(), signal.SIGKILL)
