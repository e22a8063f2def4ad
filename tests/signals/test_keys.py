import inspect

import numpy as np
import pytest
from datasets import Dataset, Features, Value
from datasets import List as ListFeature

from hf_select.errors import ColumnError, MissingSignalError, RowError
from hf_select.signals import keys
from hf_select.signals.keys import (
    ANSWER_ALONE_NLL,
    EMBEDDING,
    RESPONSE_NLL,
    ROW_TOKENS,
    Pass,
    Signal,
    answer_alone_nll,
)
from hf_select.signals.table import Signals


def dataset(**columns):
    return Dataset.from_dict({f"signal_{name}": values for name, values in columns.items()})


def test_every_signal_of_the_vocabulary_says_what_it_is():
    known = [value for _, value in inspect.getmembers(keys) if isinstance(value, Signal)]
    assert len(known) >= 19
    assert len({signal.name for signal in known}) == len(known)
    for signal in known:
        assert signal.column == f"signal_{signal.name}"
        assert signal.shape in {"(N,)", "(N, D)", "(N, C)"}
        assert signal.unit
        assert isinstance(signal.read_in, Pass)


def test_another_prefix_is_another_signal_with_a_column_of_its_own():
    cherry, vicuna = answer_alone_nll("### Response:"), answer_alone_nll("ASSISTANT:")
    assert answer_alone_nll() is ANSWER_ALONE_NLL
    assert len({ANSWER_ALONE_NLL, cherry, vicuna}) == 3
    assert len({ANSWER_ALONE_NLL.column, cherry.column, vicuna.column}) == 3
    assert cherry == answer_alone_nll("### Response:")
    assert cherry.option == "### Response:"
    assert cherry.column.isidentifier()
    assert answer_alone_nll("Antwort: ä\n").column.isidentifier()


def test_a_signal_that_is_not_there_names_those_that_are():
    table = Signals({RESPONSE_NLL: [1.0, 2.0]})
    with pytest.raises(MissingSignalError, match=r"'embedding' is not here \(there: response_nll\)"):
        table[EMBEDDING]
    assert RESPONSE_NLL in table
    assert EMBEDDING not in table
    assert list(table) == [RESPONSE_NLL]


def test_arrays_and_masks_have_one_value_per_row():
    with pytest.raises(RowError, match=r"response_nll.*2.*row_tokens.*3"):
        Signals({RESPONSE_NLL: [1.0, 2.0], ROW_TOKENS: [1, 2, 3]})
    with pytest.raises(RowError, match="candidates"):
        Signals({RESPONSE_NLL: [1.0, 2.0]}, candidates=np.ones(3, dtype=bool))
    with pytest.raises(RowError, match="n_rows"):
        Signals({RESPONSE_NLL: [1.0, 2.0]}, n_rows=5)
    assert Signals({}, n_rows=5).n_rows == 5


def test_only_hands_on_what_is_declared_with_the_masks():
    masks = {"candidates": np.array([True, False]), "labelled": np.array([False, True])}
    table = Signals({RESPONSE_NLL: [1.0, 2.0], ROW_TOKENS: [1, 2]}, **masks)
    fewer = table.only({ROW_TOKENS})
    assert list(fewer) == [ROW_TOKENS]
    assert fewer.candidates is masks["candidates"]
    assert fewer.labelled is masks["labelled"]
    assert table.only(()).n_rows == 2
    with pytest.raises(MissingSignalError):
        table.only({EMBEDDING})


def test_take_reorders_signals_and_masks_alike():
    table = Signals({RESPONSE_NLL: [1.0, 2.0, 3.0]}, candidates=np.array([True, False, True]))
    part = table.take(np.array([2, 1]))
    assert part[RESPONSE_NLL].tolist() == [3.0, 2.0]
    assert part.candidates.tolist() == [True, False]
    assert part.labelled is None
    assert part.n_rows == 2


def test_columns_become_arrays_of_their_own_type():
    features = Features({"signal_embedding": ListFeature(Value("float32")), "signal_row_tokens": Value("int32")})
    data = Dataset.from_dict({"signal_embedding": [[1, 2], [3, 4], [5, 6]], "signal_row_tokens": [7, 8, 9]}, features)
    table = Signals.from_dataset(data, {EMBEDDING, ROW_TOKENS})
    assert table[EMBEDDING].dtype == np.float32
    assert table[EMBEDDING].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert table[ROW_TOKENS].dtype == np.int32
    assert table[ROW_TOKENS].tolist() == [7, 8, 9]


def test_columns_of_fixed_width_and_of_reordered_datasets():
    features = Features({"signal_embedding": ListFeature(Value("float64"), length=2)})
    data = Dataset.from_dict({"signal_embedding": [[1, 2], [3, 4], [5, 6]]}, features).select([2, 0])
    assert Signals.from_dataset(data, {EMBEDDING})[EMBEDDING].tolist() == [[5, 6], [1, 2]]


def test_a_missing_value_is_nan():
    table = Signals.from_dataset(dataset(response_nll=[1.0, None, 3.0]), {RESPONSE_NLL})
    assert np.isnan(table[RESPONSE_NLL][1])


@pytest.mark.parametrize("rows", [[[1.0], [2.0, 3.0, 4.0]], [[1.0, 2.0], None], [[1.0], [2.0, 3.0]]])
def test_lists_of_several_lengths_are_refused(rows):
    with pytest.raises(RowError, match="must hold lists of one length"):
        Signals.from_dataset(dataset(embedding=rows), {EMBEDDING})


def test_a_column_that_is_not_there_names_those_that_are():
    with pytest.raises(ColumnError, match=r"No column 'signal_embedding'; the dataset has \['signal_response_nll'\]"):
        Signals.from_dataset(dataset(response_nll=[1.0]), {EMBEDDING})
