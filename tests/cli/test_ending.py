"""How a command ends: exit statuses, and a run that was cut off and goes on behind its finished shards."""

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from hf_select.cli import main
from hf_select.cli.ending import FAILED, UNUSABLE, cut_off, failed, sigterm_ends
from hf_select.errors import BudgetError, DiskSpaceError, EndpointError, HubError, MissingExtraError, RowError
from hf_select.selection import Selection
from hf_select.signals.store import Store

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = {signal.SIGINT: (130, "Interrupted"), signal.SIGTERM: (143, "Terminated")}
SLOWLY = """
import signal, sys, time
from hf_select.cli import main
from hf_select.signals.store import Store

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background of a shell ignores
write = Store.write

def write_slowly(*words):
    write(*words)
    time.sleep(0.5)

Store.write = write_slowly
sys.exit(main(sys.argv[1:]))
"""


def shards(folder):
    """The finished shards below a folder, with the time of their writing."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("shard-*.safetensors")}


@pytest.fixture
def words(model):
    """A selection with several shards."""
    return ("--method", "ifd", "--budget", "5", "--model_name_or_path", model, "--max_tokens_per_batch", "256")


@pytest.fixture
def heeds_interrupts():
    """A shell's background job ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_is_cut_off_goes_on_behind_its_finished_shards(
    select, words, number, heeds_interrupts, tmp_path, monkeypatch
):
    write, written = Store.write, []

    def write_and_interrupt(store, shard, n_shards, arrays):
        write(store, shard, n_shards, arrays)
        written.append(shard)
        if len(written) == 3:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Store, "write", write_and_interrupt)
    status, word = SIGNALS[number]
    out, err = select(*words, status=status)
    assert out == ""
    assert f"{word}. Finished shards are kept in {tmp_path / 'cache'}; the same command goes on behind" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "selection.json").exists()
    assert len(shards(tmp_path / "cache")) == 3
    select(*words)
    assert len(written) == len(shards(tmp_path / "cache")) > 3  # no shard was written twice
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_process_that_is_cut_off_from_outside(select, rows, words, number, tmp_path):
    given = ("--dataset_name", rows, "--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache")
    command = [sys.executable, "-c", SLOWLY, "select", *map(str, (*given, *words))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        until = time.monotonic() + 200
        while len(shards(tmp_path / "cache")) < 2 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    status, word = SIGNALS[number]
    assert process.returncode == status, err
    assert out == ""
    assert err.splitlines()[-1].startswith(f"{word}. Finished shards are kept in {tmp_path / 'cache'};")
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "selection.json").exists()
    kept = shards(tmp_path / "cache")
    assert len(kept) >= 2
    select(*words)
    after = shards(tmp_path / "cache")
    assert kept.items() <= after.items()
    assert len(after) > len(kept)
    assert len(Selection.load(tmp_path / "out")) == 5


BEFORE, DURING = Namespace(is_checked=False), Namespace(is_checked=True)


@pytest.mark.parametrize(
    ("error", "arguments", "status"),
    [
        (BudgetError("x"), None, UNUSABLE),
        (RowError("x"), BEFORE, UNUSABLE),
        (MissingExtraError("x"), BEFORE, UNUSABLE),
        (RowError("x"), DURING, FAILED),
        (HubError("x"), BEFORE, FAILED),
        (EndpointError("x"), BEFORE, FAILED),
        (DiskSpaceError("x"), DURING, FAILED),
    ],
)
def test_the_status_says_whether_the_work_began(error, arguments, status, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    assert failed(error, arguments) == status
    assert capsys.readouterr().err == f"{type(error).__name__}: x\n"


def test_a_process_that_fails_alone_says_which_it_is(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "3")
    assert failed(RowError("x"), DURING) == FAILED
    assert capsys.readouterr().err == "process 3: RowError: x\n"
    cut_off("Interrupted", DURING)
    assert capsys.readouterr().err == ""


def test_a_push_and_a_list_say_what_fits_them(capsys):
    cut_off("Interrupted", Namespace(repo_id="me/x"))
    cut_off("Terminated", Namespace())
    cut_off("Interrupted", None)
    assert capsys.readouterr().err.splitlines() == [
        "Interrupted. The repository has all of the selection or nothing of it; the same command goes on.",
        "Terminated.",
        "Interrupted.",
    ]


def test_a_handler_of_somebody_else_stays():
    def theirs(*_):
        raise AssertionError

    found = signal.signal(signal.SIGTERM, theirs)
    try:
        with sigterm_ends():
            assert signal.getsignal(signal.SIGTERM) is theirs
        assert signal.getsignal(signal.SIGTERM) is theirs
    finally:
        signal.signal(signal.SIGTERM, found)


def test_a_mistake_of_ours_is_a_traceback(monkeypatch):
    monkeypatch.setattr("hf_select.cli.methods._table", lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):  # which Python ends with status 1
        main(["methods"])
