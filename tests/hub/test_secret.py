"""Secrets are found by form and by value, and a finding never shows them."""

import pytest
from datasets import Dataset

from hf_select.errors import SecretError
from hf_select.hub.secret import check_rows, check_text, own_secrets

SECRETS = {
    "a Hugging Face token": "hf_" + "AbCd1234" * 4,
    "a GitHub token": "ghp_" + "AbCd1234" * 5,
    "a GitLab token": "glpat-" + "AbCd1234" * 3,
    "an API key": "sk-" + "aB3dE6gH" * 4,
    "an API key (sk-)": "sk-proj-" + "aB3dE6gH" * 4,
    "an AWS access key": "AKIA" + "Q7RX" * 4,
    "an AWS secret key": 'aws_secret_access_key = "' + "aB3/E6g+" * 5 + '"',
    "a Slack token": "xoxb-" + "1234567890-abc",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
}
PATHS = ("/home/anna/models/x", '"/Users/anna"', "C:\\Users\\anna\\x", '"C:\\\\Users\\\\anna"', "file:///home/anna/x")
HOME = "/" + "root"
HARMLESS = (
    "https://example.org/home/anna/x", "runs/home/anna", "/homework/x", "." + HOME + "/x", "sk-fading-circle-container",
    "AKIAIOSFODNN7EXAMPLE", "hf_select", "hf_hub_download", "ghp_short", "/rooted/x", "task-sk-12",
    "data" + HOME + "/x",
)  # fmt: skip


@pytest.mark.parametrize("kind", SECRETS)
def test_tokens_are_found_in_files_and_rows_and_never_shown(kind):
    secret = SECRETS[kind]
    with pytest.raises(SecretError) as refused:
        check_text("README.md", f"one\ntwo {secret} three", {})
    assert "README.md, line 2, holds what looks like" in str(refused.value)
    assert kind.split(" (")[0] in str(refused.value)
    assert secret[4:] not in str(refused.value)
    rows = Dataset.from_dict({"messages": [[{"content": "x"}], [{"content": f"key: {secret}"}]], "n": [1, 2]})
    with pytest.raises(SecretError, match=r"Row 1 .as pushed., column 'messages'") as refused:
        check_rows(rows, {})
    assert secret[4:] not in str(refused.value)


@pytest.mark.parametrize("path", PATHS)
def test_home_folders_are_found_in_files_alone(path):
    with pytest.raises(SecretError, match="home folder") as refused:
        check_text("selection.json", path, {})
    assert "anna" not in str(refused.value)
    check_rows(Dataset.from_dict({"text": [path]}), {})


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_passes(text):
    check_text("README.md", f"{text} and {text}", {})


def test_the_own_home_folder_is_found_wherever_it_is(monkeypatch):
    monkeypatch.setenv("HOME", "/data/people/anna")
    with pytest.raises(SecretError, match="your home folder"):
        check_text("selection.json", "/data/people/anna/model", {})


def test_secrets_of_this_process_are_found_by_value(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_API_KEY", "an-odd-form-of-key")
    monkeypatch.setenv("SHORT_TOKEN", "true")
    monkeypatch.setenv("KEYBOARD", "a-long-name-of-a-layout")
    monkeypatch.setenv("SSH_KEY", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "not-the-usual-form-of-token")
    secrets = own_secrets("given-as-an-argument")
    assert {"the value of MY_API_KEY", "the value of HF_TOKEN", "your token of the Hub"} <= set(secrets)
    assert not {"the value of SHORT_TOKEN", "the value of KEYBOARD", "the value of SSH_KEY"} & set(secrets)
    for value in ("an-odd-form-of-key", "not-the-usual-form-of-token", "given-as-an-argument"):
        with pytest.raises(SecretError) as refused:
            check_rows(Dataset.from_dict({"text": ["fine", f"x={value}"]}), secrets)
        assert value not in str(refused.value)
