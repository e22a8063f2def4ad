"""A secret is planted in every place that a push could carry it from: the push is refused, or leaves the place behind.

A refusal names the file, row or column, and never shows the value.
"""

import json
import pickle

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from safetensors.numpy import save_file

from hf_select.errors import SecretError
from hf_select.hub import push_model
from hf_select.selection import Selection
from tests.hub.conftest import OF_THE_CLIENT, hub  # noqa: F401 (a fixture)

pytestmark = OF_THE_CLIENT
TOKEN = "hf_" + "Pl4ntedTokenOfATest" * 2
ENVIRONMENT = "an.odd-form/of+secret=value"
SECRETS = {"a token": TOKEN, "a value of the environment": ENVIRONMENT}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(params=SECRETS)
def secret(request, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", ENVIRONMENT)
    return SECRETS[request.param]


def provenance(secret, place):
    found = {"method": {"name": "cdas"}, "budget": "40%", "seed": 3, "excluded": {}, "read_with": {}}
    if place == "args":
        found["read_with"] = {"model": {"command": f"train --hub_token {secret}"}}
    elif place == "config":
        found["method"] = {"name": "cdas", "prefix": secret}
    elif place == "exception":
        found["excluded"] = {f"HubError: 401 for token {secret}": 1}
    return found


def rows(secret, place):
    texts = [f"task {i}" for i in range(10)]
    if place == "column":
        return Dataset.from_dict({"prompt": texts, f"x {secret}": texts})
    if place == "class":
        features = Features({"prompt": Value("string"), "label": ClassLabel(names=["fine", secret])})
        return Dataset.from_dict({"prompt": texts, "label": [0] * 10}, features=features)
    hidden: list = list(texts)
    hidden[7] = f"key = '{secret}'"
    if place == "bytes":
        hidden = [text.encode() for text in hidden]
    elif place == "nested":
        hidden = [[{"role": "user", "content": text}] for text in hidden]
    return Dataset.from_dict({"prompt": texts, "hidden": hidden if place in ("row", "bytes", "nested") else texts})


NAMED = {
    "args": "selection.json, line",
    "config": "selection.json, line",
    "exception": "selection.json, line",
    "row": "Row 0 (as pushed), column 'hidden'",
    "bytes": "Row 0 (as pushed), column 'hidden'",
    "nested": "Row 0 (as pushed), column 'hidden'",
    "column": "A column of the rows (number 1)",
    "class": "A column of the rows (number 1)",
    "caption": "plots/scores.json, line 1",
    "picture": "plots/scores.png",
}


@pytest.mark.parametrize("place", NAMED)
def test_a_selection_with_a_secret_is_not_pushed(hub, secret, place, tmp_path, caplog, capfd):  # noqa: F811
    (tmp_path / "scores.png").write_bytes(PNG + (secret.encode() if place == "picture" else b""))
    (tmp_path / "scores.json").write_text(json.dumps({"caption": secret if place == "caption" else "Scores"}))
    selection = Selection(np.array([7, 2]), np.array([0.9, 0.8]), 10, provenance(secret, place))
    with pytest.raises(SecretError) as refused:
        selection.push_to_hub("me/kept", rows(secret, place), "cdas-40", plots=tmp_path)
    assert NAMED[place] in str(refused.value)
    assert "nothing was uploaded" in str(refused.value)
    assert secret not in str(refused.value) + caplog.text + "".join(capfd.readouterr())
    assert secret.encode() not in hub.sent()
    assert hub.repos == {}


FILES = {
    "config.json": "{}",
    "generation_config.json": "{}",
    "tokenizer_config.json": "{}",
    "tokenizer.json": "{}",
    "vocab.json": "{}",
    "merges.txt": "#version: 0.2\n",
    "chat_template.jinja": "{{ x }}",
    ".eval_results/humaneval.yaml": "- value: 0.5\n",
    "README.md": "---\nlibrary_name: transformers\n---\n\n# Model\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    return tmp_path / "model"


@pytest.mark.parametrize("name", [*FILES, "model.safetensors"])
def test_a_model_with_a_secret_is_not_pushed(hub, secret, name, folder):  # noqa: F811
    if name == "model.safetensors":
        save_file({"weight": np.zeros(3, np.float32)}, folder / name, {"note": secret})
    else:
        (folder / name).write_text(FILES[name] + f"\n# {secret}\n")
    with pytest.raises(SecretError) as refused:
        push_model(folder, "me/model")
    assert str(refused.value).startswith(name)
    assert secret not in str(refused.value)
    assert secret.encode() not in hub.sent()
    assert hub.repos == {}


def test_files_of_training_stay_where_they_are(hub, secret, folder):  # noqa: F811
    left = (
        "training_args.bin",
        "trainer_state.json",
        "optimizer.pt",
        "scheduler.pt",
        "run.log",
        ".env",
        "wandb/x.json",
    )
    for name in left:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(pickle.dumps({"hub_token": secret}))
    push_model(folder, "me/model")
    assert set(hub.files("model", "me/model")) == {*FILES, "model.safetensors"}
    assert secret.encode() not in hub.sent()
