"""BIRD: a question about a database, answered by a SQL query whose rows are compared with those of the reference.

Source: Li et al. 2023, "Can LLM Already Serve as A Database Interface? A BIg Bench for Large-Scale Database Grounded
Text-to-SQLs"; execution accuracy by sets of rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_select.errors import ConfigError
from hf_select.evaluation.result import Sample
from hf_select.evaluation.task.built import Built, Options
from hf_select.evaluation.task.measurement import Graded
from hf_select.evaluation.task.query import Comparison, check_queries, table_definitions
from hf_select.evaluation.task.record import HubSource, Layout, Record, find_layout, is_file, read_file, read_hub

_HUB = HubSource("birdsql/bird_mini_dev", split="mini_dev_sqlite")
_LAYOUTS = (
    Layout("BIRD", ("db_id", "question", "SQL")),
    Layout("Spider", ("db_id", "question", "query")),
)
_SCHEMA_FILES = ("{}.sql", "{}.json", "{}_schema.json")
_DATABASE_FILES = ("{0}/{0}.sqlite", "{0}.sqlite")
_MAX_NAMED = 5


class ExecutionAccuracy(Graded):
    """Share of queries that give the rows of the reference."""

    metric = "execution accuracy"
    stop = ("\n\n", ";\n", "\n```")

    def __init__(
        self, prompts: Sequence[str], queries: Sequence[str], databases: Sequence[Path], task_ids: Sequence[str]
    ) -> None:
        """Keep the problems.

        Args:
            prompts: (M,) what the model continues.
            queries: (M,) the reference queries.
            databases: (M,) the file that each is asked of.
            task_ids: (M,) names of the problems.
        """
        super().__init__(prompts)
        self.queries = queries
        self.databases = databases
        self.task_ids = task_ids

    def grade(
        self, row_ids: Sequence[int], completions: Sequence[str], progress: bool, level: str | None = None
    ) -> list[Sample]:
        """Ask every query; one whose reference cannot be answered is refused.

        Args:
            row_ids: (P,) rows of the reference set.
            completions: (P,) what the model wrote for each.
            progress: show a progress bar.
            level: how programs are contained, as in ``Sandbox``.

        Returns:
            (P,) samples.
        """
        queries = [first_query(text) for text in completions]
        comparisons = [
            Comparison(self.databases[row_id], query, self.queries[row_id])
            for row_id, query in zip(row_ids, queries, strict=True)
        ]
        verdicts = check_queries(comparisons, level=level, allow_code_eval=True, progress=progress)
        return [
            Sample.of(self.task_ids[row_id], completion, query, verdict)
            for row_id, completion, query, verdict in zip(row_ids, completions, queries, verdicts, strict=True)
        ]


def first_query(completion: str) -> str:
    """The first statement of a completion.

    Args:
        completion: what the model wrote.

    Returns:
        The text up to the first semicolon outside literals and comments; all of it where there is none.
    """
    at = completion.find(";")
    while at >= 0:
        if sqlite3.complete_statement(completion[: at + 1]):
            return completion[: at + 1].strip()
        at = completion.find(";", at + 1)
    return completion.strip()


def read_bird(source: str | Path | None, split: str | None) -> list[Record]:
    """The rows of BIRD.

    Args:
        source: a file or a name of the Hub; ``None`` for the official mini-dev set of the Hub.
        split: a split of the Hub.

    Returns:
        The rows.
    """
    if source is not None and is_file(source):
        records = read_file(source)
    elif source is None:
        records = read_hub(_HUB._replace(split=split or _HUB.split))
    else:
        records = read_hub(HubSource(str(source), split=split or _HUB.split))
    find_layout(records, _LAYOUTS, "bird_sql", source or _HUB.path)
    return records


def build_bird(records: Sequence[Record], options: Options) -> Built:
    """Make a task of drawn rows.

    Args:
        records: (M,) rows.
        options: ``databases`` and ``schema``.

    Returns:
        The reference set, with execution accuracy where the databases are given.
    """
    query = "SQL" if find_layout(records, _LAYOUTS, "bird_sql", "the drawn rows") is _LAYOUTS[0] else "query"
    names = sorted({record["db_id"] for record in records})
    databases = _find_all(options.databases, _DATABASE_FILES, names, "databases")
    schemas = {name: _schema(path) for name, path in _find_all(options.schema, _SCHEMA_FILES, names, "schema").items()}
    if not schemas:
        schemas = {name: table_definitions(path) for name, path in databases.items()}
    prompts = [_prompt(record, schemas.get(record["db_id"], "")) for record in records]
    queries = [record[query] for record in records]
    if not databases:
        return Built(
            prompts,
            queries,
            None,
            "execution accuracy asks the SQLite databases, which are not part of these rows; give "
            "databases='.../dev_databases', the folder of the official release (<db_id>/<db_id>.sqlite).",
        )
    files = [databases[record["db_id"]] for record in records]
    task_ids = [f"BIRD/{record.get('question_id', row_id)}" for row_id, record in enumerate(records)]
    return Built(prompts, queries, ExecutionAccuracy(prompts, queries, files, task_ids))


def _find_all(folder: Path | None, patterns: Sequence[str], names: Sequence[str], option: str) -> dict[str, Path]:
    """The file of each database; none where no folder was given."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ConfigError(f"{option}={str(folder)!r} is no folder.")
    candidates = {name: [folder / pattern.format(name) for pattern in patterns] for name in names}
    found = {name: path for name, paths in candidates.items() for path in reversed(paths) if path.is_file()}
    if missing := [name for name in names if name not in found]:
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise ConfigError(
            f"{option}={str(folder)!r} has nothing for {', '.join(missing[:_MAX_NAMED])}{more}. Expected for each: "
            f"{' or '.join(pattern.format('<db_id>') for pattern in patterns)}."
        )
    return found


def _schema(path: Path) -> str:
    """A schema as text: SQL as it is, a description (table -> columns) as CREATE statements without types."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        return text.strip()
    tables: Mapping[str, Any] = json.loads(text)
    try:
        columns = {table: [_quoted(column["column_name"]) for column in tables[table]] for table in tables}
    except (TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} is no description of tables; expected {{table: [{{'column_name': ...}}, ...]}}, or give a .sql "
            f"file with CREATE statements."
        ) from error
    return "\n".join(f"CREATE TABLE {_quoted(table)} ({', '.join(columns[table])});" for table in tables)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def _prompt(record: Record, schema: str) -> str:
    evidence = " ".join(str(record.get("evidence") or "").split())
    parts = [
        f"{schema}\n\n" if schema else "",
        f"-- Database: {record['db_id']}\n",
        f"-- External knowledge: {evidence}\n" if evidence else "",
        f"-- Question: {' '.join(str(record['question']).split())}\n",
        "-- The answer in SQLite:\n",
    ]
    return "".join(parts)
