"""Rows of every form, and what a dataset that cannot be read is told."""

import pytest
from datasets import Dataset

from hf_select.errors import ColumnError, ConfigError, RowError
from hf_select.rows import Row, RowFormat

FORMS = {
    "messages": (
        {"messages": [[{"role": "user", "content": "add"}, {"role": "assistant", "content": "a + b"}]]},
        Row("add", "a + b", None, ({"role": "user", "content": "add"},)),
    ),
    "messages (ShareGPT)": (
        {"conversations": [[{"from": "human", "value": "add"}, {"from": "gpt", "value": "a + b"}]]},
        Row("add", "a + b", None, ({"role": "user", "content": "add"},)),
    ),
    "completion": ({"prompt": ["add"], "completion": ["a + b"]}, Row("add", "a + b")),
    "response": ({"prompt": ["add"], "response": ["a + b"]}, Row("add", "a + b")),
    "alpaca": ({"instruction": ["add"], "input": ["1 2"], "output": ["3"]}, Row("add\n\n1 2", "3")),
    "alpaca without input": ({"instruction": ["add"], "input": [""], "output": ["3"]}, Row("add", "3")),
    "alpaca with null input": ({"instruction": ["add"], "input": [None], "output": ["3"]}, Row("add", "3")),
    "classification": ({"func": ["int f();"], "target": [1]}, Row("int f();", "", 1)),
    "text": ({"text": ["a + b"], "id": [7]}, Row("", "a + b")),
    "tokens": ({"input_ids": [[5, 6, 7]], "labels": [[-100, -100, 7]]}, Row("", "", ids=([5, 6], [7]))),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found_and_read(form):
    columns, expected = FORMS[form]
    dataset = Dataset.from_dict(columns)
    assert RowFormat.detect(dataset).read(dataset) == [expected]
    assert RowFormat.detect(list(columns)).read(columns) == [expected]


def test_columns_can_be_named():
    batch = {"question": ["q"], "answer": ["a"], "prompt": ["not this"], "completion": ["nor this"]}
    row_format = RowFormat.detect(list(batch), {"prompt": "question", "response": "answer"})
    assert row_format.read(batch) == [Row("q", "a")]


def test_an_unclear_dataset_is_told_its_columns_and_the_known_forms():
    with pytest.raises(RowError, match=r"\['a', 'b'\].*Known forms.*messages"):
        RowFormat.detect(["a", "b"])


def test_a_wrong_column_name_is_told_what_there_is():
    with pytest.raises(ColumnError, match=r"No column 'anwser'; the dataset has \['question', 'answer'\]"):
        RowFormat.detect(["question", "answer"], {"prompt": "question", "response": "anwser"})


def test_an_unknown_role_is_refused():
    with pytest.raises(ConfigError, match=r"unknown keys \['reply'\]"):
        RowFormat.detect(["a"], {"reply": "a"})


@pytest.mark.parametrize(("value", "kind"), [(None, "NoneType"), (b"x", "bytes"), (3, "int")])
def test_values_that_are_not_text_are_counted_with_their_row_ids(value, kind):
    batch = {"prompt": ["p", "p", "p"], "completion": ["a", value, "b"]}
    with pytest.raises(RowError, match=rf"1 rows of column 'completion' are not text \(first: \[\(1, '{kind}'\)\]\)"):
        RowFormat.detect(list(batch)).read(batch)


def test_a_conversation_must_end_with_the_assistant():
    batch = {"messages": [[{"role": "user", "content": "add"}]]}
    with pytest.raises(RowError, match="Row 0: the last message is the user's"):
        RowFormat.detect(list(batch)).read(batch)


def test_row_ids_of_a_shuffled_view_are_positions_in_that_view():
    dataset = Dataset.from_dict({"prompt": ["a", "b", "c"], "completion": ["1", "2", "3"]}).select([2, 0])
    assert [row.prompt for row in RowFormat.detect(dataset).read(dataset)] == ["c", "a"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [([-100, 6], "Row 0: 3 input_ids and 2 labels"), ([5, -100, 7], "Row 0: label -100 comes after the response")],
)
def test_tokens_that_are_not_one_prompt_and_one_response_are_refused(labels, message):
    batch = {"input_ids": [[5, 6, 7]], "labels": [labels]}
    with pytest.raises(RowError, match=message):
        RowFormat.detect(list(batch)).read(batch)
