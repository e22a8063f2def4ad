"""A selection on the Hub: what lies there and beside whom, and what is refused before anything is sent."""

import io
import json
import logging

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Dataset

from hf_select.errors import ColumnError, ConfigError, HubError, SecretError, StaleStateError, UnknownNameError
from hf_select.selection import Selection
from tests.hub.conftest import OF_THE_CLIENT, PROVENANCE, TOKEN

pytestmark = OF_THE_CLIENT
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def metadata(card):
    return yaml.safe_load((card.decode() if isinstance(card, bytes) else card).split("---\n", 2)[1])


def table(data):
    return pq.read_table(io.BytesIO(data))


def test_everything_lies_where_it_is_promised(hub, dataset, selection, tmp_path):
    (tmp_path / "scores.png").write_bytes(PNG)
    (tmp_path / "scores.json").write_text(json.dumps({"caption": "Scores of *all* rows"}))
    (tmp_path / "notes.txt").write_text("private")
    push = selection.push_to_hub("me/kept", dataset, "cdas-40", plots=tmp_path, commit_message="My words")
    files = hub.files("dataset", "me/kept")
    assert sorted(files) == [
        "README.md",
        "data/cdas-40/train-00000-of-00001.parquet",
        "selections/cdas-40/plots/scores.json",
        "selections/cdas-40/plots/scores.png",
        "selections/cdas-40/scores.parquet",
        "selections/cdas-40/selection.json",
    ]
    assert (push.is_new, push.url) == (True, f"{hub.url}/datasets/me/kept")
    assert {change.state for change in push.changes} == {"new"}
    assert hub.repos["dataset", "me/kept"].messages[1:] == ["My words"]
    prompts = table(files["data/cdas-40/train-00000-of-00001.parquet"])["prompt"].to_pylist()
    assert prompts == ["task 7", "task 2", "task 9", "task 0"]
    assert table(files["selections/cdas-40/scores.parquet"])["row_id"].to_pylist() == [7, 2, 9, 0]
    assert json.loads(files["selections/cdas-40/selection.json"])["method"] == PROVENANCE["method"]
    found = metadata(files["README.md"])
    assert found["tags"] == ["hf_select", "cdas"]
    assert [entry["config_name"] for entry in found["configs"]] == ["cdas-40", "cdas-40-scores"]
    card = files["README.md"].decode()
    assert "![Scores of \\*all\\* rows](selections/cdas-40/plots/scores.png)" in card
    assert card == push.card


def test_scored_has_all_rows(hub, dataset, selection):
    selection.push_to_hub("me/kept", dataset, "all", what="scored")
    rows = table(hub.files("dataset", "me/kept")["data/all/train-00000-of-00001.parquet"]).to_pylist()
    assert [row["prompt"] for row in rows] == list(dataset["prompt"])
    assert [row["selected"] for row in rows] == selection.mask().tolist()
    assert {i: row["score"] for i, row in enumerate(rows) if row["score"] is not None} == {
        7: 0.9,
        2: 0.8,
        9: 0.7,
        0: 0.6,
    }


def test_selections_lie_side_by_side_and_each_is_replaced_alone(hub, dataset, selection):
    selection.push_to_hub("me/kept", dataset, "cdas-40")
    other = Selection(np.array([1]), np.array([1.0]), 10, {"method": {"name": "random"}})
    other.push_to_hub("me/kept", dataset, "random-10")
    before = hub.files("dataset", "me/kept")
    again = Selection(np.array([3, 4]), np.array([2.0, 1.0]), 10, PROVENANCE)
    push = again.push_to_hub("me/kept", dataset, "cdas-40")
    after = hub.files("dataset", "me/kept")
    changed = {change.path for change in push.changes if change.state == "changed"}
    assert {path for path in after if after[path] != before.get(path)} == changed
    assert not any("random" in path for path in changed)
    names = [entry["config_name"] for entry in metadata(after["README.md"])["configs"]]
    assert names == ["cdas-40", "cdas-40-scores", "random-10", "random-10-scores"]
    assert [entry.get("default") for entry in metadata(after["README.md"])["configs"]] == [True, None, None, None]


def test_the_same_again_is_no_commit(hub, dataset, selection):
    first = selection.push_to_hub("me/kept", dataset, "cdas-40")
    n_puts, before = hub.count("lfs-put"), hub.files("dataset", "me/kept")
    loaded = Dataset.from_list(dataset.to_list())  # the same rows, from elsewhere
    second = selection.push_to_hub("me/kept", loaded, "cdas-40")
    assert (first.commit is None, second.commit, second.is_new) == (False, None, False)
    assert {change.state for change in second.changes} == {"same"}
    assert (hub.count("lfs-put"), hub.files("dataset", "me/kept")) == (n_puts, before)
    assert second.card == first.card


def test_files_of_an_earlier_push_go_and_files_of_others_stay(hub, dataset, selection, tmp_path):
    (tmp_path / "scores.png").write_bytes(PNG)
    selection.push_to_hub("me/kept", dataset, "cdas-40", plots=tmp_path)
    repo = hub.repos["dataset", "me/kept"]
    mine = {"data/cdas-40/train-00001-of-00002.parquet": b"an old shard", "data/cdas-40/notes.md": b"by hand"}
    repo.commit({**repo.tree("main")[1], **mine}, "more")
    push = selection.push_to_hub("me/kept", dataset, "cdas-40")
    deleted = {change.path for change in push.changes if change.state == "deleted"}
    assert deleted == {"data/cdas-40/train-00001-of-00002.parquet", "selections/cdas-40/plots/scores.png"}
    assert hub.files("dataset", "me/kept")["data/cdas-40/notes.md"] == b"by hand"


CARD = """---
# mine
license: 'cc-by-4.0'
tags: [code]
configs:
- config_name: raw    # all of it
  data_files: rows.jsonl
---
# My data

Prose | of mine.
"""


def test_a_card_that_is_there_is_added_to(hub, dataset, selection, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("hf_select"), "propagate", True)
    hub.add_repo("dataset", "me/mine", {"README.md": CARD.encode(), "rows.jsonl": b"{}"})
    selection.push_to_hub("me/mine", dataset, "cdas-40", license="mit")
    card = hub.files("dataset", "me/mine")["README.md"].decode()
    assert card.split("---\n", 2)[2].startswith("# My data\n\nProse | of mine.\n\n<!-- hf_select:begin cdas-40 -->")
    for line in (
        "# mine",
        "license: 'cc-by-4.0'",
        "tags: [code, hf_select, cdas]",
        "- config_name: raw    # all of it",
    ):
        assert f"\n{line}\n" in card
    assert [entry["config_name"] for entry in metadata(card)["configs"]] == ["raw", "cdas-40", "cdas-40-scores"]
    assert "default" not in metadata(card)["configs"][1]
    assert "The card keeps its license 'cc-by-4.0'; 'mit' was given." in caplog.text


def test_a_local_file_is_told_by_its_name_alone(hub, dataset, selection):
    push = selection.push_to_hub("me/kept", dataset, "cdas-40", source_dataset="/home/anna/private/rows.jsonl")
    assert "4 of 10 rows of rows.jsonl" in push.card
    assert "anna" not in push.card


def test_a_dry_run_tells_and_does_nothing(hub, dataset, selection):
    push = selection.push_to_hub("me/kept", dataset, "cdas-40", dry_run=True)
    assert (push.commit, push.is_new, hub.repos) == (None, True, {})
    assert [change.state for change in push.changes] == ["new"] * 4
    assert hub.count("preupload") == hub.count("create") == 0
    made = selection.push_to_hub("me/kept", dataset, "cdas-40")
    assert (made.card, made.changes) == (push.card, push.changes)


def test_private_is_private(hub, dataset, selection):
    selection.push_to_hub("kept", dataset, "cdas-40", private=True)
    assert hub.repos["dataset", "me/kept"].private
    hub.add_repo("dataset", "me/open")
    with pytest.raises(ConfigError, match="is public, and private=True was asked for; nothing was uploaded"):
        selection.push_to_hub("me/open", dataset, "cdas-40", private=True)
    assert hub.files("dataset", "me/open") == {}


def test_a_branch_that_is_there_can_be_named(hub, dataset, selection):
    repo = hub.add_repo("dataset", "me/kept")
    repo.branches["draft"] = repo.branches["main"]
    selection.push_to_hub("me/kept", dataset, "cdas-40", revision="draft")
    assert hub.files("dataset", "me/kept") == {}
    assert "README.md" in hub.files("dataset", "me/kept", "draft")
    with pytest.raises(HubError, match=r"branch 'new': there is no such branch. Make it by 'hf repos branch create'"):
        selection.push_to_hub("me/kept", dataset, "cdas-40", revision="new")


BAD_NAMES = {
    "an address": ("https://huggingface.co/me/x", "a", "Give the name alone, not its address"),
    "a prefix": ("datasets/me/x", "a", "Give it without 'datasets/'"),
    "spaces": ("me/my rows", "a", "is no name of a dataset on the Hub"),
    "dots": ("me/a..b", "a", "is no name of a dataset on the Hub"),
    "no config": ("me/x", "", "config_name='' must be"),
    "a path": ("me/x", "../a", "must be 1 to 64 letters"),
    "a glob": ("me/x", "a*", "must be 1 to 64 letters"),
    "a comment": ("me/x", "a-->", "must be 1 to 64 letters"),
    "scores": ("me/x", "a-scores", "names the scores of a selection"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_bad_names_are_refused_without_a_request(hub, dataset, selection, case):
    repo_id, config_name, message = BAD_NAMES[case]
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        selection.push_to_hub(repo_id, dataset, config_name)
    assert hub.requests == []


def test_rights_are_checked_before_anything_is_sent(hub, dataset, selection, monkeypatch):
    hub.add_user("hf_reader" + "x" * 20, "ro", role="read")
    cases = [
        ({"token": "hf_wrong" + "x" * 20}, "me/kept", "does not know this token"),
        ({"token": "hf_reader" + "x" * 20}, "ro/kept", "may only read"),
        ({}, "others/kept", "'me' is not a member of 'others'. Names below these are possible: me, team, readers"),
        ({}, "readers/kept", "the token has no right to do so"),
    ]
    for options, repo_id, message in cases:
        with pytest.raises(HubError, match=message):
            selection.push_to_hub(repo_id, dataset, "cdas-40", **options)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=r"There is no token of the Hub. Log in by 'hf auth login', or set HF_TOKEN"):
        selection.push_to_hub("me/kept", dataset, "cdas-40")
    assert hub.repos == {}
    assert hub.count("preupload") == hub.count("lfs-put") == hub.count("commit") == 0


def test_offline_is_said(hub, dataset, selection, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        selection.push_to_hub("me/kept", dataset, "cdas-40")


def test_repositories_that_do_not_fit_are_refused(hub, dataset, selection):
    hub.add_repo("model", "me/model")
    with pytest.raises(ConfigError, match="'me/model' is a model on the Hub, and a dataset is to be pushed"):
        selection.push_to_hub("me/model", dataset, "cdas-40")
    hub.add_repo("dataset", "me/raw", {"train.csv": b"a\n1\n", "LICENSE.txt": b""})
    with pytest.raises(ConfigError, match=r"holds data \('train.csv'\) that its card does not name"):
        selection.push_to_hub("me/raw", dataset, "cdas-40")
    named = CARD.replace("config_name: raw", "config_name: cdas-40")
    hub.add_repo("dataset", "me/taken", {"README.md": named.encode()})
    with pytest.raises(ConfigError, match="a configuration 'cdas-40' that hf_select did not write"):
        selection.push_to_hub("me/taken", dataset, "cdas-40")
    hub.add_repo("dataset", "me/bytes", {"README.md": b"\xff\xfe"})
    with pytest.raises(ConfigError, match="is not UTF-8"):
        selection.push_to_hub("me/bytes", dataset, "cdas-40")
    assert hub.count("commit") == hub.count("create") == 0


def test_rows_that_do_not_fit_are_refused_without_a_request(hub, dataset, selection):
    with pytest.raises(StaleStateError, match="made from 10 rows and the dataset has 3"):
        selection.push_to_hub("me/kept", dataset.select(range(3)), "cdas-40")
    with pytest.raises(ColumnError, match=r"rename it by dataset.rename_column"):
        selection.push_to_hub("me/kept", dataset.add_column("score", [0] * 10), "cdas-40", what="scored")
    with pytest.raises(UnknownNameError, match="Did you mean 'subset'"):
        selection.push_to_hub("me/kept", dataset, "cdas-40", what="subsets")
    assert hub.requests == []


def test_secrets_are_refused_before_anything_is_sent(hub, dataset, selection, tmp_path):
    planted = "ghp_" + "AbCd1234" * 5
    rows = dataset.map(lambda row, i: {"completion": planted} if i == 2 else row, with_indices=True)
    with pytest.raises(SecretError, match=r"Row 1 .as pushed., column 'completion'"):
        selection.push_to_hub("me/kept", rows, "cdas-40")
    for value in (planted, TOKEN, "/home/anna/model"):
        told = Selection(selection.indices, selection.scores, 10, {**PROVENANCE, "read_with": {"model": value}})
        with pytest.raises(SecretError, match=r"selections/cdas-40/selection.json, line") as refused:
            told.push_to_hub("me/kept", dataset, "cdas-40")
        assert value not in str(refused.value)
    (tmp_path / "x.png").write_bytes(PNG)
    (tmp_path / "x.json").write_text(planted)
    with pytest.raises(SecretError, match=r"plots/x.json"):
        selection.push_to_hub("me/kept", dataset, "cdas-40", plots=tmp_path)
    assert hub.repos == {}
    assert planted.encode() not in hub.sent()
    selection.push_to_hub("me/kept", rows, "cdas-40", check_rows=False)
    assert "me/kept" in {repo_id for _, repo_id in hub.repos}


def test_only_pictures_are_taken_from_the_folder_of_plots(hub, dataset, selection, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(PNG)
    plots = tmp_path / "plots"
    plots.mkdir()
    (plots / "link.png").symlink_to(secret)
    with pytest.raises(ConfigError, match=r"'link.png' is not uploaded: it must be a file of its own"):
        selection.push_to_hub("me/kept", dataset, "cdas-40", plots=plots)
    (plots / "link.png").unlink()
    (plots / "fake.png").write_text("no picture")
    with pytest.raises(ConfigError, match=r"'fake.png' is no PNG"):
        selection.push_to_hub("me/kept", dataset, "cdas-40", plots=plots)
    with pytest.raises(ConfigError, match="there is no such folder"):
        selection.push_to_hub("me/kept", dataset, "cdas-40", plots=tmp_path / "absent")


def test_the_token_is_sent_as_a_header_and_written_nowhere(hub, dataset, selection, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    push = selection.push_to_hub("me/kept", dataset, "cdas-40", token=TOKEN)
    selection.save(tmp_path / "kept")
    assert TOKEN.encode() not in hub.sent()
    assert TOKEN not in caplog.text + repr(push) + "".join(capfd.readouterr())
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 2
    assert not any(TOKEN.encode() in data for data in written)
