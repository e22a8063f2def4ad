"""A push that breaks anywhere leaves the old state or the new one, and the same push again ends in the same state."""

import shutil

import numpy as np
import pytest

from hf_select.errors import HfSelectError, HubError
from hf_select.selection import Selection
from tests.hub.conftest import OF_THE_CLIENT, PROVENANCE
from tests.hub.hub_server import KINDS, HubServer
from tests.hub.killed_pushes import NAME, SOURCE, make_model, push

pytestmark = OF_THE_CLIENT
OTHER = Selection(np.array([1, 3]), np.array([0.2, 0.1]), 10, {**PROVENANCE, "seed": 4})
WHAT = ("subset", *(pytest.param(what, marks=pytest.mark.slow) for what in ("scored", "model")))
FOREVER = (400, 403)  # the client repeats no request that was answered so, and some of those that broke otherwise
FAULTS = [
    *((400, False), (0, False), (0, True)),
    *(pytest.param(status, False, marks=pytest.mark.slow) for status in (403, 429, 500, 503)),
    pytest.param(500, True, marks=pytest.mark.slow),
]
ALWAYS = {"whoami", "info", "tree", "validate-yaml", "preupload", "lfs-batch", "lfs-put", "lfs-verify", "commit"}


def requests_of(hub, push):
    """How many requests of each kind a push takes."""
    begun = len(hub.requests)
    push()
    kinds = [request.kind for request in hub.requests[begun:]]
    return {kind: kinds.count(kind) for kind in KINDS if kind in kinds}


@pytest.mark.parametrize(("status", "afterwards"), FAULTS)
@pytest.mark.parametrize("over_another", [False, True])
@pytest.mark.parametrize("what", WHAT)
def test_a_push_breaks_at_every_request(hub, tmp_path, monkeypatch, what, over_another, status, afterwards):
    key = ("model" if what == "model" else "dataset", NAME)
    hub.add_repo("dataset", SOURCE, card={"license": "mit"})
    for version in (0, 1):
        make_model(tmp_path, version)
    if over_another:
        push(tmp_path, what, 0)
    begun, first = hub.state(), hub.files(*key) if over_another else None
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    counts = requests_of(hub, lambda: push(tmp_path, what, 1))
    final = hub.files(*key)
    assert set(counts) == ALWAYS | {"resolve" if over_another else "create"}
    broken = []
    for kind, n in [(kind, n) for kind, n_requests in counts.items() for n in range(1, n_requests + 1)]:
        hub.restore(begun)
        shutil.rmtree(cache, ignore_errors=True)  # the client would not ask for a card that it has read before
        hub.fail_at(kind, n, status=status, afterwards=afterwards)
        n_puts, n_commits = hub.count("lfs-put"), hub.count("commit")
        try:
            push(tmp_path, what, 1)
        except HfSelectError:
            broken.append(kind)
            left = hub.files(*key) if key in hub.repos else None
            assert left in (first, final) or (not over_another and left == {}), (kind, n)  # made, and nothing in it
        hub.heal()
        push(tmp_path, what, 1)
        assert hub.files(*key) == final, (kind, n)
        if kind == "commit":
            assert hub.count("lfs-put") == n_puts + counts["lfs-put"]  # what was uploaded is not uploaded again
            assert hub.count("commit") == n_commits + (1 if afterwards else 2)  # a lost answer: nothing is left to do
    assert set(broken) == set(counts) if status in FOREVER else set(broken) >= {"whoami", "info", "commit"}


def test_a_server_that_stays_down_is_said_with_what_to_do(hub, dataset, selection):
    for _ in range(8):
        hub.fail_at("commit", 1, status=503)
    with pytest.raises(HubError, match=r"the Hub answered 503 .*run the same push again"):
        selection.push_to_hub("me/kept", dataset, "a")


def test_somebody_else_commits_meanwhile(hub, dataset, selection):
    hub.add_repo("dataset", "me/kept", {"README.md": b"# Mine\n"})
    repo = hub.repos["dataset", "me/kept"]

    def theirs():
        repo.commit({**repo.tree("main")[1], "README.md": b"# Mine, and theirs\n", "note.md": b"x"}, "theirs")

    hub.before["commit"] = theirs
    selection.push_to_hub("me/kept", dataset, "a")
    files = hub.files("dataset", "me/kept")
    assert b"# Mine, and theirs\n" in files["README.md"]
    assert b"hf_select:begin a" in files["README.md"]
    assert files["note.md"] == b"x"


def test_it_gives_up_when_others_never_stop(hub, dataset, selection):
    hub.add_repo("dataset", "me/kept")
    for n in range(1, 6):
        hub.fail_at("commit", n, status=412)
    with pytest.raises(HubError, match="committed to by somebody else 5 times"):
        selection.push_to_hub("me/kept", dataset, "a")
    hub.heal()


def test_a_fault_of_no_kind_is_a_mistake():
    with pytest.raises(ValueError, match="is none of"):
        HubServer().fail_at("comit", 1)
