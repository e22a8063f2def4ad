"""SQL that a model wrote, asked of a database that it can only read, and compared with the reference as sets of rows.

Both queries run in a process of their own (see ``hf_select.evaluation.task.query_process``), which is contained by a
level of the sandbox and sees the database, read-only, and Python's standard library. The verdict cannot be forged: a
query returns rows, and the comparison is not in its reach.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hf_select.evaluation.sandbox.interpreter import standard_library
from hf_select.evaluation.sandbox.verdict import Verdict
from hf_select.evaluation.task.jailed import Job, run_jobs
from hf_select.evaluation.task.launcher import Step

DEFAULT_TIMEOUT = 30.0
"""Seconds for a query, as in the official evaluation."""

_PROCESS = Path(__file__).with_name("query_process.py")
_MEMORY_BYTES = 2 << 30
_GRACE_SECONDS = 5.0


class Comparison(NamedTuple):
    """Two queries to one database.

    Attributes:
        database: path of the SQLite file.
        query: what the model wrote.
        reference: the true query.
    """

    database: Path
    query: str
    reference: str


def check_queries(
    comparisons: Sequence[Comparison],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    level: str | None = None,
    n_workers: int | None = None,
    allow_code_eval: bool | None = None,
    progress: bool = True,
) -> list[Verdict]:
    """Ask both queries and compare the answers, as sets of rows.

    Args:
        comparisons: (P,) queries and databases.
        timeout: seconds for each query.
        level: how the process that asks is contained, as in ``Sandbox``.
        n_workers: comparisons at a time; the number of usable processors by default.
        allow_code_eval: the user's word; ``None`` asks ``HF_ALLOW_CODE_EVAL``.
        progress: show a progress bar.

    Returns:
        (P,) verdicts; ``refused`` where the reference itself cannot be answered.
    """
    python = os.path.realpath(sys.executable)  # without the site-packages that a link to it may stand for
    jobs = []
    for one in comparisons:
        database = str(one.database.resolve())
        step = Step(
            name="query",
            command=[python, "-s", "-S", "-B", "-X", "utf8", str(_PROCESS), "question.json"],
            seconds=2 * timeout + _GRACE_SECONDS,
            memory_bytes=_MEMORY_BYTES,
            counts_data_only=False,
            kind="program",
            readable=["{folder}", python, str(_PROCESS), *standard_library(), *_parts(database)],
            writable=[],
        )
        question = {
            "database": database,
            "query": one.query,
            "reference": one.reference,
            "seconds": timeout,
        }
        jobs.append(Job({"question.json": json.dumps(question)}, (step,), in_process=False))
    return run_jobs(jobs, level=level, n_workers=n_workers, allow_code_eval=allow_code_eval, progress=progress)


def _parts(database: str) -> list[str]:
    return [database, f"{database}-wal", f"{database}-shm", f"{database}-journal"]


def table_definitions(database: Path) -> str:
    """The CREATE statements of a database, which the user gave and is trusted.

    Args:
        database: path of the SQLite file.

    Returns:
        The statements of its tables, by name.
    """
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        found = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
        return "\n\n".join(f"{statement};" for (statement,) in found)
