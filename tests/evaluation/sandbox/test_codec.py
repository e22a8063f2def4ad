import collections
import json
import math
import os
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.evaluation.sandbox import codec
from hf_select.evaluation.sandbox.codec import UnportableError, decode, encode, frame, one_line, unframe

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
HASHABLE = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner), max_leaves=8)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.lists(inner) | st.tuples(inner) | st.sets(HASHABLE) | st.dictionaries(HASHABLE, inner),
    max_leaves=20,
)


def through_json(value):
    return decode(json.loads(json.dumps(encode(value))))


def same_types(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return all(map(same_types, one, other))
    if isinstance(one, dict):
        return all(map(same_types, one, other)) and all(map(same_types, one.values(), other.values()))
    return True


@given(VALUES)
def test_plain_data_comes_back_equal_and_of_the_same_type(value):
    back = through_json(value)
    assert back == value
    assert same_types(back, value)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1 << 53, {"int": "0x20000000000000"}),
        (1.5, {"float": "0x1.8000000000000p+0"}),
        ("a", "a"),
        ([1, (2,)], {"list": [1, {"tuple": [2]}]}),
        ({1: "a"}, {"dict": [[1, "a"]]}),
        (int, {"type": "int"}),
        ("\ud800", {"str": "eda080"}),
    ],
)
def test_wire_form(value, wire):
    assert encode(value) == wire
    assert decode(wire) == value


def test_numbers_keep_their_exact_value():
    assert math.isnan(through_json(math.nan))
    assert math.copysign(1, through_json(-0.0)) == -1
    assert through_json(3**4000) == 3**4000
    assert through_json(Fraction(1, 3)) == Fraction(1, 3)
    assert through_json(Decimal("0.10")).as_tuple() == Decimal("0.10").as_tuple()


def test_views_and_containers_keep_what_a_test_can_ask():
    original = {"a": 1, "b": 2}
    assert through_json(original.keys()) == {"a", "b"}
    assert list(through_json(original.values())) == [1, 2]
    assert through_json(original.items()) == {("a", 1), ("b", 2)}
    assert through_json(range(1, 9, 3)) == range(1, 9, 3)
    assert through_json(collections.deque([1, 2], maxlen=2)) == collections.deque([1, 2], maxlen=2)
    assert through_json(collections.deque([1, 2], maxlen=2)).maxlen == 2
    assert through_json(collections.OrderedDict(b=1)) == {"b": 1}
    assert through_json(collections.Counter("aab")) == {"a": 2, "b": 1}


def test_a_subclass_arrives_as_its_base():
    class Equal(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    back = through_json(Equal(3))
    assert type(back) is int
    assert back != 4


def test_iterators_are_drained_up_to_the_cap(monkeypatch):
    monkeypatch.setattr(codec, "MAX_DRAINED", 3)
    back = through_json(iter(range(10)))
    assert next(back) == 0
    assert list(back) == [1, 2]


def test_arrays_of_numpy_stay_arrays_and_its_scalars_become_numbers():
    back = through_json(np.array([[1, 2], [3, 4]], dtype=np.int16))
    assert isinstance(back, np.ndarray)
    assert back.dtype == np.int16
    assert back.tolist() == [[1, 2], [3, 4]]
    assert type(through_json(np.int64(3))) is int
    assert type(through_json(np.float32(0.5))) is float


class Opaque:
    pass


def test_everything_else_is_refused():
    endless = []
    endless.append(endless)
    refused = [Opaque(), Opaque, len, lambda: 1, endless, np.array([Opaque()]), compile("1", "", "eval"), [Opaque()]]
    for value in refused:
        with pytest.raises(UnportableError):
            encode(value)
    assert len(refused) == 8


@pytest.mark.parametrize(
    "wire",
    [
        [],
        {},
        {"list": 3},
        {"int": "zz"},
        {"float": "x", "int": "1"},
        {"unknown": 1},
        {"set": [{"list": []}]},
        {"range": [0, 1, 0]},
        {"type": "Opaque"},
        {"array": ["O", {"list": []}]},
        {"bytes": 1},
        {"dict": [[1]]},
        1.5,
        {"Decimal": "x"},
    ],
)
def test_hostile_wire_is_refused(wire):
    with pytest.raises(UnportableError):
        decode(wire)


def test_depth_of_hostile_wire_is_refused():
    wire = None
    for _ in range(100_000):
        wire = {"list": [wire]}
    with pytest.raises(UnportableError):
        decode(wire)
    while wire is not None:  # taken apart step by step: the garbage collector would recurse as deep
        wire = wire["list"][0]


def test_frames_cross_a_pipe_one_after_another():
    read, write = os.pipe()
    codec.write_frame(write, {"a": 1})
    codec.write_frame(write, "x" * 1000)
    assert codec.read_frame(read) == {"a": 1}
    assert codec.read_frame(read) == "x" * 1000
    os.close(write)
    with pytest.raises(EOFError):
        codec.read_frame(read)
    os.close(read)


def test_a_frame_that_is_too_long_is_neither_written_nor_read(monkeypatch):
    monkeypatch.setattr(codec, "MAX_FRAME_BYTES", 10)
    with pytest.raises(UnportableError, match="12 bytes"):
        frame("x" * 10)
    with pytest.raises(UnportableError, match="at most 10"):
        unframe(lambda n_bytes: b"\x7f\xff\xff\xff"[:n_bytes])


def test_a_frame_that_is_not_json_is_refused():
    chunks = iter([b"\x00\x00\x00\x02", b"}{"])
    with pytest.raises(UnportableError, match="not JSON"):
        unframe(lambda n_bytes: next(chunks))


def test_one_line_escapes_what_cannot_be_printed():
    assert one_line("a\nb\x1b[31m\u202e") == "a\\nb\\x1b[31m\\u202e"
    assert len(one_line("\n" * 1000)) == 300

    class Rude:
        def __str__(self):
            raise KeyboardInterrupt

    assert one_line(Rude()) == "<unprintable>"
