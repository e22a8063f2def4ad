"""Fields of methods from text: by the declared type, the stricter form first."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from hf_select.cli.field import fields_of
from hf_select.errors import ConfigError, UnknownNameError
from hf_select.methods import METHODS, Family, make
from hf_select.methods.random import Random


@dataclass(frozen=True)
class Typed(Random):
    """Fields of every form."""

    name = "typed"
    family: ClassVar[Family] = Family.MIXED

    whole: int = 1
    number: float = 0.5
    limit: float | None = None
    flag: bool = False
    text: str = ""
    init: int | Literal["random", "mean"] = "mean"
    weights: tuple[float, ...] = (1.0,)
    names: tuple[str, ...] | None = None
    nested: dict[str, int] | None = None


@pytest.fixture(autouse=True)
def typed(monkeypatch):
    monkeypatch.setitem(METHODS, "typed", Typed)


VALUES = [
    ("whole=20", 20),
    ("whole=-3", -3),
    ("number=3", 3.0),
    ("number=1e-3", 0.001),
    ("limit=none", None),
    ("limit=NULL", None),
    ("limit=2.5", 2.5),
    ("flag=true", True),
    ("flag=False", False),
    ("text=none", "none"),
    ("text=### Response:", "### Response:"),
    ("text=a=b", "a=b"),
    ("text=", ""),
    ("init=random", "random"),
    ("init=7", 7),
    ("weights=1,2.5", (1.0, 2.5)),
    ("names=a,b", ("a", "b")),
    ("names=none", None),
    ("nested=none", None),
]


@pytest.mark.parametrize(("word", "value"), VALUES)
def test_values(word, value):
    found = fields_of([word], ["typed"])["typed"]
    assert list(found.values()) == [value]
    assert [type(held) for held in found.values()] == [type(value)]
    assert make("typed", **found).config() == {**Typed().config(), **found}


WRONG = [
    ("whole=2.5", "'typed' takes a whole number there"),
    ("number=high", "takes a number there"),
    ("limit=high", "takes none or a number there"),
    ("flag=1", "takes true or false there"),
    ("init=median", "takes 'random' or 'mean' or a whole number there"),
    ("weights=1,x", "takes values separated by commas, each a number there"),
    ("nested=1", "takes none or a value that only the Python interface can give"),
]


@pytest.mark.parametrize(("word", "message"), WRONG)
def test_values_of_another_type(word, message):
    with pytest.raises(ConfigError, match=message):
        fields_of([word], ["typed"])


def test_fields_of_several_methods():
    found = fields_of(["cdas.n_clusters=20", "ifd.max_ifd=none", "cdas.seed=1"], ["cdas", "ifd", "random"])
    assert found == {"cdas": {"n_clusters": 20, "seed": 1}, "ifd": {"max_ifd": None}, "random": {}}
    assert fields_of(["cdas.n_clusters=20"], ["cdas"]) == {"cdas": {"n_clusters": 20}}


def test_words_of_another_form():
    with pytest.raises(ConfigError, match=r"'method\.field=value', for example 'cdas\.n_clusters=10'"):
        fields_of(["n_clusters=20"], ["cdas", "ifd"])
    with pytest.raises(ConfigError, match="of the form 'field=value'"):
        fields_of(["n_clusters"], ["cdas"])
    with pytest.raises(ConfigError, match="'n_clusters' of 'cdas' twice"):
        fields_of(["n_clusters=1", "n_clusters=2"], ["cdas"])
    with pytest.raises(UnknownNameError, match="Unknown method in --set 'ifd'"):
        fields_of(["ifd.max_ifd=1"], ["cdas", "random"])


def test_a_field_that_there_is_not_is_left_to_the_method():
    found = fields_of(["n_cluster=1"], ["cdas"])
    with pytest.raises(ConfigError, match="Did you mean 'n_clusters'"):
        make("cdas", **found["cdas"])
