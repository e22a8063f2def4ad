import sys

import pytest

from hf_select.errors import SandboxUnavailableError, UnknownNameError
from hf_select.evaluation.sandbox import LEVELS
from hf_select.evaluation.sandbox.jail import LAYERS
from hf_select.evaluation.sandbox.level import get_level


def test_every_layer_of_every_level_exists():
    assert list(LEVELS) == ["process"]
    for level in LEVELS.values():
        assert level.layers
        assert set(level.layers) <= LAYERS.keys()


def test_an_unknown_level_names_those_that_exist():
    with pytest.raises(UnknownNameError, match=r"'proces'.*Did you mean 'process'"):
        get_level("proces")


def test_another_system_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailableError, match="Linux machine"):
        get_level("process")


def test_an_embedded_interpreter_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(SandboxUnavailableError, match=r"sys\.executable"):
        get_level("process")
