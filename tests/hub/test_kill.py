"""kill -9 in the middle of a push: the Hub has the old state or the new one, and the same push again ends alike."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub.conftest import TOKEN
from tests.hub.hub_server import KINDS
from tests.hub.killed_pushes import NAME, SOURCE

ROOT = Path(__file__).resolve().parents[2]
AT_CRASH_POINT = ("hub.due:1", "hub.committed:1")
WHAT = ("subset", "scored", "model")


class Pusher:
    """A process that forks one for every push; each begins where no other has left anything but temporary files."""

    def __init__(self, folder, hub):
        self.hub, self.home, self.scratch, self.said = hub, folder / "home", folder / "tmp", folder / "said.txt"
        self.scratch.mkdir()
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.scratch), "HF_HOME": str(self.home),
            "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("killed_pushes.py")), str(folder)],
                env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
            )  # fmt: skip

    def push(self, what, version, *, crash_at=None, at_request=None):
        """The exit status of a push, killed at a crash point or when the server gets its first request of a kind."""
        processes = queue.Queue()
        shutil.rmtree(self.home, ignore_errors=True)  # the client would not ask for a card that it has read before
        if at_request:
            self.hub.before[at_request] = lambda: os.kill(processes.get(timeout=30), signal.SIGKILL)
        self.process.stdin.write(json.dumps({"what": what, "version": version, "crash_at": crash_at}) + "\n")
        self.process.stdin.flush()
        processes.put(int(self.process.stdout.readline()))
        status = int(self.process.stdout.readline())
        self.hub.before.clear()
        return status

    def files(self, what):
        """The repository's files; ``None`` where there is none yet."""
        kind = "model" if what == "model" else "dataset"
        return self.hub.files(kind, NAME) if (kind, NAME) in self.hub.repos else None

    def left(self):
        return sorted(path.name for path in self.scratch.iterdir())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(timeout=30) == 0, self.said.read_text()


@pytest.fixture
def pusher(hub, tmp_path):
    made = Pusher(tmp_path, hub)
    yield made
    made.close()


def check_killed_and_repeated(pusher, what, kill, begun, first, final):
    """A kill, what it leaves, and the same push again."""
    hub = pusher.hub
    hub.restore(begun)
    assert pusher.push(what, 1, **kill) == -signal.SIGKILL, kill
    seen = pusher.files(what)
    assert seen in (first, final) or (first is None and seen == {}), kill  # made, and nothing in it
    assert len(pusher.left()) <= 1, kill
    was_left, n_puts, n_commits = bool(pusher.left()), hub.count("lfs-put"), hub.count("commit")
    assert pusher.push(what, 1) == 0, pusher.said.read_text()[-2000:]
    assert pusher.files(what) == final, kill
    assert pusher.left() == [], kill
    if seen == final:
        assert (hub.count("commit"), hub.count("lfs-put")) == (n_commits, n_puts), kill  # nothing is left to do
    return was_left, seen == final, hub.count("lfs-put") - n_puts


@pytest.mark.slow
@pytest.mark.parametrize("over_another", [False, True])
@pytest.mark.parametrize("what", WHAT)
def test_a_push_goes_on_behind_a_kill_at_every_crash_point_and_request(pusher, what, over_another):
    hub = pusher.hub
    hub.add_repo("dataset", SOURCE, card={"license": "mit"})
    if over_another:
        assert pusher.push(what, 0) == 0, pusher.said.read_text()
    begun, first, n_seen = hub.state(), pusher.files(what), len(hub.requests)
    assert pusher.push(what, 1) == 0, pusher.said.read_text()
    final = pusher.files(what)
    sent = {request.kind for request in hub.requests[n_seen:]}
    kinds = [kind for kind in KINDS if kind in sent]
    assert {"whoami", "info", "preupload", "lfs-batch", "lfs-put", "commit"} < set(kinds)
    assert ("create" in kinds) != over_another
    found = {
        str(kill): check_killed_and_repeated(pusher, what, {name: kill}, begun, first, final)
        for name, kills in (("crash_at", AT_CRASH_POINT), ("at_request", kinds))
        for kill in kills
    }
    assert len(found) == len(AT_CRASH_POINT) + len(kinds) == 12
    assert [found[kill][1] for kill in AT_CRASH_POINT] == [False, True]
    assert all(found[kill][0] for kill in (*AT_CRASH_POINT, "commit"))  # the sweep had something to do
    assert found["commit"][2] == 0  # what was uploaded is not uploaded again
