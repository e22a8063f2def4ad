"""Models of strangers: weights that are a program, and code beside the weights, are refused and not run."""

import contextlib
import json
import os
import pickle

import pytest
import torch

from hf_select.demo import build_model, train_tokenizer
from hf_select.errors import ModelError
from hf_select.signals.keys import Task
from hf_select.signals.models import Models
from hf_select.signals.text_regressor import _load_encoder
from hf_select.training.classification import load_classifier


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def folder(tmp_path):
    """A small model without its weights."""
    tokenizer = train_tokenizer(["def f(): return 1"], 300)
    tokenizer.save_pretrained(tmp_path / "model")
    build_model(tokenizer, 0, hidden=16, heads=2, layers=1, max_length=64).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    return tmp_path / "model"


def weights(folder, kind):
    mark = folder.parent / "executed"
    path = folder / "pytorch_model.bin"
    if kind == "zip":
        torch.save({"model.embed_tokens.weight": torch.zeros(2), "x": Touch(mark)}, path)
    elif kind == "legacy":
        torch.save({"x": Touch(mark)}, path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps({"x": Touch(mark)}, protocol=2))
    return mark


@pytest.mark.parametrize("kind", ["zip", "legacy", "plain"])
def test_weights_that_are_a_program_are_not_run_and_named(folder, kind):
    mark = weights(folder, kind)
    for load in (
        lambda: Models(str(folder), given_task=Task.CAUSAL_LM).model,
        lambda: Models(str(folder), given_task=Task.CLASSIFICATION).model,
        lambda: _load_encoder(str(folder)),
    ):
        with pytest.raises(ModelError, match=r"pytorch_model\.bin.* are a pickle that holds more than tensors"):
            load()
        assert not mark.exists()
    with contextlib.suppress(RuntimeError):  # of what is left when the program has run
        torch.load(folder / "pytorch_model.bin", weights_only=False)  # it works: the test can fail
    assert mark.exists()


def test_the_classifier_to_be_trained_is_loaded_as_carefully(folder):
    mark = weights(folder, "zip")
    with pytest.raises((ModelError, pickle.UnpicklingError)):
        load_classifier(str(folder), Models(str(folder)).tokenizer, 2)
    assert not mark.exists()


def test_torn_weights_are_named(folder):
    (folder / "model.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0abc")
    with pytest.raises(ModelError, match=r"weights \(\*\.safetensors\) are torn"):
        _ = Models(str(folder), given_task=Task.CAUSAL_LM).model


@pytest.mark.parametrize("part", ["AutoConfig", "AutoModelForCausalLM", "AutoTokenizer"])
def test_code_of_a_repository_is_refused_without_a_question(folder, part, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    mark = folder.parent / "executed"
    (folder / "strange.py").write_text(f"open({str(mark)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    if part == "AutoTokenizer":
        settings = {"tokenizer_class": "Strange", "auto_map": {part: [None, "strange.Strange"]}}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        with pytest.raises(ModelError, match="auto_map"):
            _ = Models(str(folder)).tokenizer
    else:
        auto_map = {"AutoConfig": "strange.Config", "AutoModelForCausalLM": "strange.Model"}
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "strange", "auto_map": auto_map}))
        models = Models(str(folder), given_task=None if part == "AutoConfig" else Task.CAUSAL_LM)
        with pytest.raises(ModelError, match=r"\(auto_map\), which this library never runs"):
            _ = models.task if part == "AutoConfig" else models.model
    assert not mark.exists()
