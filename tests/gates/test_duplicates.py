"""Exact duplicates: what counts as equal, who wins, what is remembered."""

import pytest
from datasets import Dataset

from hf_select.gates import DuplicateGate, apply_gates
from hf_select.rows import RowFormat


def verdicts(prompts: list[str], completions: list[str]) -> list[bool]:
    return DuplicateGate()({"prompt": prompts, "completion": completions})


def test_the_first_of_equal_rows_is_kept():
    assert verdicts(["p", "q", "p", "p"], ["r", "r", "r", "s"]) == [True, True, False, True]


@pytest.mark.parametrize("same", ["a\nb", "a  \nb\t", "a\r\nb", "a\nb\n\n", "a\nb   \n"])
def test_white_space_at_the_ends_of_lines_is_forgiven(same):
    assert verdicts(["p", "p"], ["a\nb", same]) == [True, False]


@pytest.mark.parametrize("other", ["a\n b", " a\nb", "a\n\nb", "A\nb", "a b", "ab"])
def test_nothing_else_is_forgiven(other):
    assert verdicts(["p", "p"], ["a\nb", other]) == [True, True]


def test_the_border_between_prompt_and_response_counts():
    assert verdicts(["ab", "a", 'a","b', "a\0b"], ["c", "bc", "c", "c"]) == [True] * 4


def test_strange_text_is_no_error():
    assert verdicts(["\0", "\0", "é"], ["x", "x", "x"]) == [True, False, True]


def test_conversations_differ_by_role_and_turn():
    def talk(*turns):
        return [{"role": role, "content": content} for role, content in turns]

    conversations = [
        talk(("user", "a"), ("assistant", "b")),
        talk(("system", "a"), ("assistant", "b")),
        talk(("user", "a"), ("assistant", "b")),
    ]
    assert DuplicateGate()({"messages": conversations}) == [True, True, False]


def test_memory_spans_batches_and_fresh_forgets():
    gate = DuplicateGate(RowFormat("completion", prompt="q", response="a"))
    batch = {"q": ["1"], "a": ["2"]}
    assert gate.judge(batch) == [None]
    assert gate.judge(batch) == ["duplicate"]
    assert gate.fresh().judge(batch) == [None]
    assert gate.judge(batch) == ["duplicate"]


def test_apply_gates_starts_fresh_each_time():
    dataset = Dataset.from_dict({"prompt": ["p", "p", "q"], "completion": ["r", "r", "r"]})
    gate = DuplicateGate()
    for _ in range(2):
        report = apply_gates(dataset, [gate], batch_size=1, progress=False)
        assert report.row_ids.tolist() == [0, 2]
        assert report.counts == {"duplicate": 1}


def test_in_a_filter_of_datasets():
    dataset = Dataset.from_dict({"prompt": ["p", "p", "q"] * 5, "completion": ["r", "r", "r"] * 5})
    kept = dataset.filter(DuplicateGate(), batched=True, batch_size=4)
    assert kept["prompt"][:] == ["p", "q"]
