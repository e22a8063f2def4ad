import sqlite3
from contextlib import closing

import pytest

from hf_select.errors import CodeExecutionError
from hf_select.evaluation.task.query import Comparison, check_queries, table_definitions

REFERENCE = "SELECT name FROM people WHERE age > 30"


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "town #1.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE people (name TEXT, age INTEGER);"
            "CREATE TABLE `free places` (`how many` REAL);"
            "INSERT INTO people VALUES ('Ann', 40), ('Bob', 20), ('Cid', 50), ('Cid', 60);"
        )
    return path


def check(database, *queries, reference=REFERENCE, timeout=20.0):
    comparisons = [Comparison(database, query, reference) for query in queries]
    return check_queries(comparisons, timeout=timeout, allow_code_eval=True, progress=False)


def test_rows_are_compared_as_sets(database):
    right = [
        REFERENCE + ";",
        "SELECT DISTINCT name FROM people WHERE age >= 40 ORDER BY age DESC",
        "WITH old AS (SELECT * FROM people WHERE age > 30) SELECT name FROM old",
        "-- a comment\nSELECT 'Ann' UNION SELECT 'Cid'",
    ]
    verdicts = check(database, *right)
    assert [(verdict.status, verdict.in_process) for verdict in verdicts] == [("passed", False)] * 4


def test_wrong_answers_fail_with_a_reason(database):
    wrong = {
        "SELECT name FROM people": "3 different rows, which are not the 2 expected",
        "SELECT name, age FROM people WHERE age > 30": "3 different rows",
        "SELECT nme FROM people": "no such column: nme",
        "SELEC": "syntax error",
        "": "not a query that returns a table",
        "-- nothing": "not a query that returns a table",
        "SELECT 1; SELECT 2": "one statement at a time",
    }
    verdicts = check(database, *wrong)
    for verdict, reason in zip(verdicts, wrong.values(), strict=True):
        assert verdict.status == "failed"
        assert reason in verdict.detail


def test_a_hostile_query_reads_nothing_else_and_changes_nothing(database, tmp_path):
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript("CREATE TABLE secret (x); INSERT INTO secret VALUES (1);")
    before = database.read_bytes()
    hostile = [
        f"ATTACH DATABASE '{other}' AS other",
        f"ATTACH DATABASE '{tmp_path / 'new.sqlite'}' AS new",
        f"VACUUM INTO '{tmp_path / 'copy.sqlite'}'",
        "SELECT load_extension('/lib/x86_64-linux-gnu/libm.so.6')",
        "INSERT INTO people VALUES ('Eve', 99)",
        "UPDATE people SET age = 0",
        "DELETE FROM people",
        "DROP TABLE people",
        "CREATE TABLE more (x)",
        "CREATE TEMP TABLE more (x)",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = WAL",
        "SELECT * FROM pragma_database_list",
        "BEGIN IMMEDIATE",
        "SELECT writefile('/tmp/x', 'y')",
        "REPLACE INTO people VALUES ('Eve', 99) RETURNING name",
    ]
    verdicts = check(database, *hostile)
    assert [(query, verdict.status) for query, verdict in zip(hostile, verdicts, strict=True)] == [
        (query, "failed") for query in hostile
    ]
    denied = [
        verdict.detail for verdict in verdicts if "not authorized" in verdict.detail or "prohibited" in verdict.detail
    ]
    assert len(denied) >= 13
    assert database.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.sqlite", "town #1.sqlite"]


def test_bombs_end_at_the_deadline_or_at_the_limit_of_memory(database):
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    slow, text, *many = check(
        database,
        endless + "SELECT count(*) FROM n",
        "SELECT length(hex(zeroblob(900000000)) || hex(zeroblob(900000000)))",
        endless + "SELECT x FROM n",
        timeout=2.0,
    )
    assert (slow.status, "interrupted" in slow.detail) == ("failed", True)
    assert text.status in ("failed", "memory", "timeout")  # one call of SQLite is not looked at before it ends
    assert many[0].status in ("failed", "memory", "timeout")


def test_a_reference_that_cannot_be_answered_is_no_failure_of_the_model(database, tmp_path):
    (verdict,) = check(database, "SELECT 1", reference="SELECT x FROM nowhere")
    assert (verdict.status, "no such table: nowhere" in verdict.detail) == ("refused", True)
    (verdict,) = check(tmp_path / "none.sqlite", "SELECT 1")
    assert verdict.status == "refused"
    assert not (tmp_path / "none.sqlite").exists()


def test_nothing_is_asked_without_consent(database, no_consent):
    with pytest.raises(CodeExecutionError):
        check_queries([Comparison(database, "SELECT 1", "SELECT 1")])


def test_definitions_of_tables(database):
    assert table_definitions(database) == (
        "CREATE TABLE `free places` (`how many` REAL);\n\nCREATE TABLE people (name TEXT, age INTEGER);"
    )
