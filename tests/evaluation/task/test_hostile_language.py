"""Hostile programs in every language: contained at the stronger levels, and seen to bite at ``process``."""

import json
import os
import secrets
import shutil
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hf_select.evaluation.sandbox import LEVELS
from hf_select.evaluation.sandbox.interpreter import standard_library
from hf_select.evaluation.sandbox.self_test import try_level
from hf_select.evaluation.task import load_coding_task, query_process
from hf_select.evaluation.task.compiled import check_compiled
from hf_select.evaluation.task.jailed import Job, run_jobs
from hf_select.evaluation.task.launcher import Step
from tests.evaluation.task.test_ds1000 import official

PYTHON = os.path.realpath(sys.executable)

CPP = r"""
#include <arpa/inet.h>
#include <fstream>
#include <iostream>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
int main() {
    std::string token = "nothing";
    std::ifstream("@secret@") >> token;
    std::ofstream("@folder@/written") << "x";
    sockaddr_in to{}; to.sin_family = AF_INET; to.sin_port = htons(@port@); to.sin_addr.s_addr = htonl(0x7f000001);
    int n = socket(AF_INET, SOCK_STREAM, 0);
    bool reached = n >= 0 && connect(n, (sockaddr *)&to, sizeof to) == 0;
    int n_forks = 0;
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) { prctl(PR_SET_NAME, "@name@"); setsid(); sleep(600); _exit(0); }
        n_forks += child > 0;
    }
    std::cerr << "error: " << token << " reached=" << reached << " forks=" << n_forks << std::endl;
    return 1;
}
"""

JAVA = r"""
import java.io.*;
import java.net.*;
import java.nio.file.*;
public class Main {
    public static void main(String[] args) {
        String token = "nothing"; boolean reached = false; int forks = 0;
        try { token = new String(Files.readAllBytes(Paths.get("@secret@"))); } catch (Exception e) { }
        try { Files.write(Paths.get("@folder@/written"), new byte[1]); } catch (Exception e) { }
        try (Socket s = new Socket("127.0.0.1", @port@)) { reached = true; } catch (Exception e) { }
        for (int i = 0; i < 5; i++)
            try { new ProcessBuilder("/bin/sh", "-c", ": @name@; sleep 600; :").start(); forks++; }
            catch (Exception e) { }
        System.err.println("error: " + token + " reached=" + (reached ? 1 : 0) + " forks=" + forks);
        System.exit(1);
    }
}
"""


def levels(slow=()):
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in slow)) for name in LEVELS]


@pytest.fixture
def outside(tmp_path):
    """A secret, a folder to write to, a listener and a name for processes that are left behind."""
    folder = tmp_path / "outside"
    folder.mkdir()
    secret = folder / "secret"
    token = f"canary{secrets.token_hex(8)}"
    secret.write_text(token)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield {
            "secret": str(secret),
            "folder": str(folder),
            "port": str(listener.getsockname()[1]),
            "name": f"left{secrets.token_hex(4)}",
            "token": token,
            "listener": listener,
        }


def filled(source, outside):
    for name in ("secret", "folder", "port", "name"):
        source = source.replace(f"@{name}@", outside[name])
    return source


def was_reached(outside):
    try:
        outside["listener"].accept()[0].close()
    except BlockingIOError:
        return False
    return True


def survivors(name):
    """Processes that bear a name, in the first words that the kernel or their command line gives."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if name in process.joinpath("comm").read_text() + process.joinpath("cmdline").read_text():
                    found.append(process.name)
            except OSError:
                continue
    return found


def skip_unless_held(level):
    if not try_level(level).holds:
        pytest.skip(try_level(level).reason)


def assert_contained(verdict, level, outside):
    """Everything happens at ``process`` but that processes are left; at the other levels nothing does."""
    bites = level == "process"
    assert (verdict.level, verdict.passed) == (level, False)
    assert (outside["token"] in verdict.detail) == bites, verdict
    assert Path(outside["folder"], "written").exists() == bites
    assert was_reached(outside) == bites
    assert ("reached=1" in verdict.detail) == bites
    assert survivors(outside["name"]) == []


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
@pytest.mark.parametrize("level", levels(slow=("namespaces", "landlock+seccomp")))
def test_cpp(level, outside):
    skip_unless_held(level)
    (verdict,) = check_compiled("cpp", [filled(CPP, outside)], level=level, allow_code_eval=True, progress=False)
    assert_contained(verdict, level, outside)
    may_fork = "seccomp" not in LEVELS[level].layers
    assert ("forks=0" in verdict.detail) != may_fork


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
@pytest.mark.slow
@pytest.mark.parametrize("level", levels())
def test_what_a_source_includes_is_not_told_by_the_compiler(level, outside):
    skip_unless_held(level)
    source = filled('#include "@secret@"\nint main() {}', outside)
    (verdict,) = check_compiled("cpp", [source], level=level, allow_code_eval=True, progress=False)
    assert verdict.status == "failed"
    assert (outside["token"] in verdict.detail) == (level == "process"), verdict


@pytest.mark.skipif(shutil.which("javac") is None, reason="no javac here")
@pytest.mark.slow
@pytest.mark.parametrize("level", levels())
def test_java(level, outside):
    skip_unless_held(level)
    options = {"level": level, "timeout": 60.0, "allow_code_eval": True, "progress": False}
    (verdict,) = check_compiled("java", [filled(JAVA, outside)], **options)
    assert_contained(verdict, level, outside)
    assert ("forks=0" in verdict.detail) == (level != "process")  # no shell is within reach


QUERY = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro&immutable=1", uri=True)
said = []
for text in (
    "SELECT count(*) FROM people",
    f"ATTACH DATABASE 'file:{sys.argv[2]}?mode=ro' AS other",
    "SELECT x FROM other.secret",
    f"VACUUM INTO '{sys.argv[3]}/written'",
):
    try:
        said.append(str(connection.execute(text).fetchall()))
    except sqlite3.Error:
        said.append("no")
print("error:", said)
raise SystemExit(1)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_sql_that_is_not_held_by_the_authorizer(level, outside, tmp_path):
    """With the authorizer gone the level still keeps a query to its own database; ``process`` does not."""
    skip_unless_held(level)
    database, other = tmp_path / "people.sqlite", tmp_path / "other.sqlite"
    for path, table in ((database, "people"), (other, "secret")):
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"CREATE TABLE {table} (x); INSERT INTO {table} VALUES ('{outside['token']}');")
    step = Step(
        name="query",
        command=[PYTHON, "-I", "-S", "-c", QUERY, str(database), str(other), outside["folder"]],
        seconds=30.0,
        memory_bytes=1 << 30,
        counts_data_only=False,
        kind="program",
        readable=[PYTHON, *standard_library(), str(database)],
        writable=[],
    )
    (verdict,) = run_jobs([Job({}, (step,), in_process=True)], level=level, allow_code_eval=True, progress=False)
    assert "error: ['[(1,)]'" in verdict.detail, verdict
    assert (outside["token"] in verdict.detail) == (level == "process"), verdict
    assert Path(outside["folder"], "written").exists() == (level == "process")


def test_without_the_authorizer_a_query_attaches_another_database(outside, tmp_path, monkeypatch):
    database = tmp_path / "people.sqlite"
    sqlite3.connect(database).close()
    attach = f"ATTACH DATABASE '{outside['folder']}/written' AS other"
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        query_process.ask(str(database), attach, 5.0)
    monkeypatch.setattr(query_process, "authorize", lambda *action: sqlite3.SQLITE_OK)
    with pytest.raises(ValueError, match="not a query that returns a table"):
        query_process.ask(str(database), attach, 5.0)


SNIPPET = """
import os, pathlib, socket
said = []
for attempt in (
    lambda: pathlib.Path({secret!r}).read_text(),
    lambda: pathlib.Path({folder!r}, "written").write_text("x"),
    lambda: socket.create_connection(("127.0.0.1", {port}), timeout=2).close() or "reached=1",
    lambda: os.fork() or os._exit(0) or "forked",
):
    try:
        said.append(str(attempt()))
    except OSError:
        said.append("no")
raise ValueError(" ".join(said))
"""


@pytest.mark.parametrize("level", levels(slow=("namespaces", "landlock+seccomp")))
def test_ds1000(level, outside, write_rows):
    skip_unless_held(level)
    task = load_coding_task("ds1000", write_rows([official(0)]))
    code = SNIPPET.format(secret=outside["secret"], folder=outside["folder"], port=outside["port"])
    (sample,) = task.measurement.grade([0], [code], progress=False, level=level)
    bites = level == "process"
    assert sample.status == "failed", sample
    assert (outside["token"] in sample.detail) == bites, sample.detail
    assert ("reached=1" in sample.detail) == bites
    assert was_reached(outside) == bites
    assert Path(outside["folder"], "written").exists() == bites
    assert json.loads(json.dumps(sample._asdict()))["passed"] is False
