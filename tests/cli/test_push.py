"""``hf-select push``: what it shows, what it pushes, what it refuses."""

import json

import pytest
import yaml

from tests.hub.conftest import OF_THE_CLIENT, TOKEN, hub

pytestmark = OF_THE_CLIENT
__all__ = ["hub"]


@pytest.fixture
def push(run, select, rows, tmp_path):
    """``hf-select push`` of a selection made by ``hf-select select``; must succeed unless told otherwise."""
    select("--method", "length", "--budget", "20%")

    def run_push(*words, status=0, name="me/kept"):
        found, out, err = run(
            *("push", tmp_path / "out", "--dataset_name", rows, "--repo_id", name, "--config_name", "length-20"), *words
        )
        assert found == status, err
        assert TOKEN not in out + err
        return out, err

    return run_push


def test_a_dry_run_shows_what_would_go(hub, push):
    out, _ = push("--dry_run")
    lines = out.splitlines()
    assert lines[0] == f"Nothing was uploaded (--dry_run). To {hub.url}/datasets/me/kept, which would be made:"
    for path in ("README.md", "data/length-20/train-00000-of-00001.parquet", "selections/length-20/selection.json"):
        assert any(line.startswith("     new") and line.endswith(path) for line in lines)
    assert "12 of 60 rows of rows.jsonl, chosen by length." in out
    assert hub.repos == {}


def test_it_pushes_once_and_says_where(hub, push):
    out, err = push("--private", "--license", "mit", "--json")
    told = json.loads(out)
    assert told["commit"] in hub.repos["dataset", "me/kept"].commits
    assert hub.repos["dataset", "me/kept"].private
    files = hub.files("dataset", "me/kept")
    assert [file["path"] for file in told["files"]] == sorted(files)
    assert any(path.endswith("plots/scores.png") for path in files)
    found = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert (found["license"], found["tags"]) == ("mit", ["hf_select", "length"])
    out, err = push()
    assert "nothing had changed" in out
    assert 'load_dataset("me/kept", "length-20")' in out
    assert err == ""


def test_scored_without_plots(hub, push):
    push("--what", "scored", "--no_plots", "--commit_message", "Scores")
    assert not any("plots" in path for path in hub.files("dataset", "me/kept"))
    assert hub.repos["dataset", "me/kept"].messages[-1] == "Scores"


BAD = {
    "no repository name": (["--repo_id", "a b"], "ConfigError: repo_id='a b' is no name of a dataset"),
    "no config name": (["--config_name", "a/b"], "ConfigError: config_name='a/b' must be"),
    "a file that is not there": (
        ["--dataset_name", "./absent.jsonl"],
        "--dataset_name ./absent.jsonl: there is no such",
    ),
    "another dataset": (["--max_rows", "10"], "StaleStateError: This selection was made from 60 rows"),
    "unknown argument": (["--repo", "x"], "Unknown argument 'repo'. Did you mean 'repo_id'"),
    "not mine": (["--repo_id", "others/x"], "HubError: 'others/x' cannot be pushed to: 'me' is not a member"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_pushed(hub, push, case):
    words, message = BAD[case]
    out, err = push(*words, status=1 if message.startswith("HubError") else 2)
    assert (out, hub.repos) == ("", {})
    assert message in err
    assert "Traceback" not in err


def test_a_folder_without_a_selection(hub, run, rows, tmp_path):
    status, out, err = run("push", tmp_path, "--dataset", rows, "--repo_id", "me/x", "--config_name", "a")
    assert (status, out) == (2, "")
    assert "holds no finished selection" in err


def test_a_breakdown_is_told_in_a_line_with_what_to_do(hub, push):
    hub.fail_at("commit", 1)
    _, err = push(status=1)
    assert err.startswith("HubError: Cannot commit to dataset 'me/kept': the Hub answered 500")
    assert "run the same push again" in err
    assert len(err.splitlines()) == 1
    push()
    assert "README.md" in hub.files("dataset", "me/kept")
