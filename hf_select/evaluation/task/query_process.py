"""The process that asks a database two queries and compares the answers by its exit status. Standard library only.

Started as ``python -s -S -B -X utf8 query_process.py <job file>``. A query meets a database that is opened read-only,
an authorizer that allows reading and nothing else, a deadline, and a limit of rows.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, TypedDict

_REFUSED = 3
_OPCODES_BETWEEN_LOOKS = 10_000
_MAX_ROWS = 2_000_000
_RECURSIVE = 33  # SQLITE_RECURSIVE, which the module of the standard library does not name
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, _RECURSIVE}
_FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"}


class Question(TypedDict):
    """What the job file holds.

    Attributes:
        database: path of the SQLite file.
        query: what the model wrote.
        reference: the true query.
        seconds: for each of the two.
    """

    database: str
    query: str
    reference: str
    seconds: float


def authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    """Allow what reads: SELECT, columns, functions, recursion. No ATTACH, PRAGMA, transaction, write or extension.

    Args:
        action: what is about to be compiled, a constant of ``sqlite3``.
        first: depends on the action.
        second: depends on the action; the name of a function.
        database: not looked at.
        trigger: not looked at.

    Returns:
        ``SQLITE_OK`` or ``SQLITE_DENY``.
    """
    del first, database, trigger
    if action not in _READING or (action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FORBIDDEN_FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def ask(database: str, query: str, seconds: float) -> set[tuple[Any, ...]]:
    """The rows of a query, as a set.

    Args:
        database: path of the SQLite file.
        query: one SELECT.
        seconds: its time limit.

    Returns:
        The rows.

    Raises:
        ValueError: if it returns no table, or too many rows.
    """
    address = f"{Path(database).absolute().as_uri()}?{_opening(database)}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.set_authorizer(authorize)
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _OPCODES_BETWEEN_LOOKS)
    cursor = connection.execute(query)
    if cursor.description is None:
        raise ValueError("not a query that returns a table")
    rows: set[tuple[Any, ...]] = set()
    for row in cursor:
        rows.add(row)
        if len(rows) > _MAX_ROWS:
            raise ValueError(f"more than {_MAX_ROWS} different rows")
    connection.close()
    return rows


def _opening(database: str) -> str:
    """How to open a database: as one that nobody changes, so that SQLite needs no file beside it, unless it has one."""
    beside = [Path(f"{database}-{ending}") for ending in ("wal", "journal")]
    is_whole = not any(path.exists() and path.stat().st_size for path in beside)
    return "mode=ro&immutable=1" if is_whole else "mode=ro"


def compare(question: Question) -> tuple[int, str]:
    """Whether two queries give the same set of rows.

    Args:
        question: database and queries.

    Returns:
        Exit code (0 where they do) and what to say.
    """
    try:
        expected = ask(question["database"], question["reference"], question["seconds"])
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        return _REFUSED, f"error of the reference query: {error}"
    try:
        found = ask(question["database"], question["query"], question["seconds"])
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        return 1, f"error: {error}"
    if found != expected:
        return 1, f"{len(found)} different rows, which are not the {len(expected)} expected"
    return 0, ""


def main() -> None:
    """Read the job file, compare, end."""
    del sys.path[0]
    code, detail = compare(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(detail.splitlines()[0] if detail else "")  # noqa: T201 (the launcher reads it)
    sys.exit(code)


if __name__ == "__main__":
    main()
