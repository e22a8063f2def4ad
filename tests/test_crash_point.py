"""Crash points: nothing without the variable, the end of the process with it, and one place for each name."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import hf_select
from hf_select.crash_point import CRASH_POINTS, VARIABLE, crash_point
from hf_select.errors import ConfigError

PACKAGE = Path(hf_select.__file__).resolve().parent


def test_every_name_stands_at_one_place():
    sources = list(PACKAGE.rglob("*.py"))
    assert len(sources) > 100
    places = Counter()
    for source in {path.resolve() for path in [*sources, *(PACKAGE / "callbacks").glob("*.py")]}:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "crash_point":
                assert isinstance(node.args[0], ast.Constant), f"{source}: the name must be written out"
                places[node.args[0].value] += 1
    assert dict(places) == dict.fromkeys(CRASH_POINTS, 1)
    assert len(CRASH_POINTS) >= 14


def test_it_does_nothing_unless_asked(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    crash_point("file.written")
    monkeypatch.setenv(VARIABLE, "file.renamed:1")
    crash_point("file.written")


def test_it_kills_at_the_passing_that_was_asked_for():
    code = (
        "from hf_select.crash_point import crash_point\n"
        "for n in range(5):\n    crash_point('file.written'); crash_point('file.flushed'); print(n, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={VARIABLE: "file.flushed:3"},
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.split()) == (-9, ["0", "1"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("file.writen:1", "Unknown crash point 'file.writen'. Did you mean 'file.written'"),
        ("file.written", "must be name:n with n from 1, for example file.written:1"),
        ("file.written:0", "must be name:n"),
        ("file.written:x", "must be name:n"),
    ],
)
def test_a_crash_point_that_is_none_is_refused(asked, message, monkeypatch):
    monkeypatch.setenv(VARIABLE, asked)
    with pytest.raises(ConfigError, match=message):
        crash_point("file.renamed")
