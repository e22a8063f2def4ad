"""Hostile names all the way into a pushed card: the metadata stays what it is, and no tag or rule of theirs appears."""

import importlib.util
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import Dataset

from hf_select.errors import SecretError
from hf_select.selection import Selection
from tests.hub.conftest import OF_THE_CLIENT, hub  # noqa: F401 (a fixture)

pytestmark = OF_THE_CLIENT
_spec = importlib.util.spec_from_file_location("hostile", Path(__file__).parents[1] / "report" / "hostile.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
HOSTILE = [text for text in _module.HOSTILE if "hf_" not in text]
TAG = re.compile(r"<(\w+)")


def pushed(text, **options):
    """The card of a selection whose every free text is hostile."""
    told = {"method": {"name": text, "prefix": text}, "budget": text, "excluded": {text: 1}, "read_with": {text: text}}
    rows = Dataset.from_dict({"prompt": ["a", "b", "c"], "completion": ["x", "y", "z"]})
    selection = Selection(np.array([1, 0]), np.array([2.0, 1.0]), 3, told)
    return selection.push_to_hub("me/kept", rows, "kept", source_dataset=text, license="mit", **options).card


def tags(card):
    """How often each tag stands in the page that the card becomes."""
    markdown_it = pytest.importorskip("markdown_it")
    body = card.split("\n---\n", 1)[1]
    return Counter(TAG.findall(markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table"]).render(body)))


def test_there_are_thirty():
    assert len(set(HOSTILE)) >= 30


@pytest.mark.parametrize("text", HOSTILE)
def test_a_card_says_it_and_nothing_comes_of_it(hub, text):  # noqa: F811
    plain = tags(pushed("plain"))
    hub.repos.clear()
    card = pushed(text)
    assert hub.files("dataset", "me/kept")["README.md"].decode() == card
    assert sum(line.strip() == "---" for line in card.splitlines()) == 2
    metadata = yaml.safe_load(card.split("\n---\n", 1)[0].removeprefix("---\n"))
    assert metadata["license"] == "mit"
    assert [entry["config_name"] for entry in metadata["configs"]] == ["kept", "kept-scores"]
    assert set(metadata) <= {"license", "tags", "configs", "size_categories", "source_datasets"}
    assert tags(card) == plain
    assert plain["table"] >= 1


def test_a_name_that_holds_a_token_is_not_pushed(hub):  # noqa: F811
    text = next(text for text in _module.HOSTILE if text.startswith("hf_"))
    with pytest.raises(SecretError):
        pushed(text)
    assert hub.repos == {}
