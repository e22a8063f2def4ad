"""Files are whole or absent."""

import errno
import json
import os
import subprocess
import sys
import threading

import pytest

from hf_select import files
from hf_select.errors import DiskSpaceError, NotWritableError
from hf_select.files import replace_file, require_free_space, scratch_folder, sweep, write_bytes, write_json
from tests.full_disk import full_at


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """As if this process had written nowhere yet."""
    monkeypatch.setattr(files, "_swept", set())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_json(tmp_path / "deep" / "a.json", {"x": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        replace_file(path, fail)
    assert json.loads(path.read_text()) == {"x": 1}
    assert names(path.parent) == ["a.json"]


def test_a_file_that_its_writer_does_not_find_is_no_sweep(tmp_path):
    """``FileNotFoundError`` of the writer comes out as it is."""
    with pytest.raises(FileNotFoundError, match="absent"):
        replace_file(tmp_path / "a", lambda temporary: (tmp_path / "absent").read_bytes())
    assert names(tmp_path) == []


def test_what_a_dead_process_left_goes_and_what_a_live_one_writes_stays(tmp_path):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom hf_select.files import replace_file\n"
        "def die(temporary):\n    temporary.write_bytes(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "replace_file(Path(sys.argv[1]), die)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert done.returncode == -9
    assert len(names(tmp_path)) == 1  # the test can fail: something was left
    begun, go_on = threading.Event(), threading.Event()

    def slow(temporary):
        temporary.write_text("live")
        begun.set()
        go_on.wait(30)

    writer = threading.Thread(target=replace_file, args=(tmp_path / "b", slow))
    writer.start()
    begun.wait(30)
    assert sum(name.startswith(".a.") for name in names(tmp_path)) == 0  # the writer swept before it began
    assert sweep(tmp_path) == 0
    go_on.set()
    writer.join()
    assert (tmp_path / "b").read_text() == "live"
    assert names(tmp_path) == ["b"]


def test_a_scratch_folder_goes_and_so_does_that_of_a_dead_process(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    (tmp_path / ".a.x1.hf_select.tmp").mkdir()
    (tmp_path / "theirs").mkdir()
    with scratch_folder("push") as first, scratch_folder("push") as second:
        assert first != second
        (first / "file").write_text("half")
        assert names(tmp_path) == sorted([first.name, second.name, "theirs"])
    assert names(tmp_path) == ["theirs"]
    with pytest.raises(OSError, match="broken"), scratch_folder("push"):
        raise OSError("broken")
    assert names(tmp_path) == ["theirs"]


def test_only_our_own_remains_are_swept(tmp_path):
    for name in (".a.x1.tmp", ".a.hf_select.tmp.txt", "a.hf_select.tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / ".a.x1.hf_select.tmp").mkdir()
    (tmp_path / ".a.x1.hf_select.tmp" / "content").write_text("half")
    write_bytes(tmp_path / "a", b"whole")
    assert names(tmp_path) == [".a.hf_select.tmp.txt", ".a.x1.tmp", "a", "a.hf_select.tmp"]
    assert sweep(tmp_path) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks there")
def test_a_fork_sweeps_anew(tmp_path):
    """It is another process, however much it was told by its parent."""
    write_bytes(tmp_path / "a", b"by the parent")
    (tmp_path / ".a.x1.hf_select.tmp").mkdir()  # of somebody who was killed since
    write_bytes(tmp_path / "a", b"by the parent")
    assert len(names(tmp_path)) == 2  # once for each process
    if (child := os.fork()) == 0:
        write_bytes(tmp_path / "a", b"by the child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert names(tmp_path) == ["a"]


def test_the_remains_of_another_user_do_no_harm(tmp_path, monkeypatch):
    (tmp_path / ".b.x1.hf_select.tmp").mkdir()
    opened = os.open

    def refused(path, *words, **named):
        if ".b.x1" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *words, **named)

    monkeypatch.setattr(os, "open", refused)
    write_bytes(tmp_path / "a", b"whole")
    assert names(tmp_path) == [".b.x1.hf_select.tmp", "a"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
@pytest.mark.parametrize("call", ["mkdir", "mkdtemp", "replace"])
def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch, number, call):
    def refused(path=None, *_, dir=None, **__):  # noqa: A002 (as mkdtemp has it)
        raise OSError(number, os.strerror(number), str(path or f"{dir}/.a.x1.hf_select.tmp"))

    place = files.tempfile if call == "mkdtemp" else files.Path
    monkeypatch.setattr(place, call, refused)
    with pytest.raises(NotWritableError) as told:
        write_bytes(tmp_path / "deep" / "a", b"new")
    assert str(told.value).startswith(f"Cannot write to {tmp_path / 'deep'} ([Errno {number}] ")
    assert "Give another folder, or see that this one may be written." in str(told.value)
    assert isinstance(told.value, OSError)
    assert not (tmp_path / "deep" / "a").exists()


def test_what_a_writer_may_not_read_is_another_matter(tmp_path):
    def refused(temporary):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/secret")

    with pytest.raises(PermissionError, match="secret"):
        replace_file(tmp_path / "a", refused)
    assert names(tmp_path) == []


def test_a_sweep_between_a_folder_and_its_lock_does_no_harm(tmp_path, monkeypatch):
    opened, n_taken = files._opened, []

    def taken_away(path):
        if path.name.endswith(".hf_select.tmp") and not n_taken:
            n_taken.append(path.rmdir())
        return opened(path)

    monkeypatch.setattr(files, "_opened", taken_away)
    write_bytes(tmp_path / "a", b"whole")
    assert n_taken == [None]
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_file_system_without_locks_is_written_and_never_swept(tmp_path, monkeypatch):
    import fcntl

    def unable(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unable)
    (tmp_path / ".b.x1.hf_select.tmp").mkdir()
    write_bytes(tmp_path / "a", b"whole")
    assert names(tmp_path) == [".b.x1.hf_select.tmp", "a"]


def test_a_disk_that_is_full_at_any_call_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = write_bytes(tmp_path / "a", b"old")
    met = []
    for n in range(1, 6):
        with monkeypatch.context() as patch:
            calls = full_at(patch, n)
            with pytest.raises(DiskSpaceError, match=r"it needs about 11 bytes and \d+ are free. Free some") as full:
                write_bytes(path, b"new content")
            met.append(calls[-1])
        assert str(full.value).startswith(f"No space left for {path}: ")
        # once renamed, the new file is in its place: only the names in the folder are then not flushed yet
        assert path.read_bytes() == (b"old" if n <= 4 else b"new content")
        assert names(tmp_path) == ["a"]
    assert met == ["folder", "write", "flush", "rename", "flush"]
    with monkeypatch.context() as patch:
        assert len(full_at(patch, 6)) == 0
        write_bytes(path, b"no sixth call")


def test_too_little_space_is_told_with_both_numbers(tmp_path):
    require_free_space(tmp_path / "not" / "there", 1)
    with pytest.raises(DiskSpaceError, match=r"needs about .* MB and .* MB are free"):
        require_free_space(tmp_path, 10**18)
