"""Dynamic Pack, the collator: what a batch looks like, and what is refused."""

import copy
import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, PackingError, UnknownNameError
from hf_select.training import DataCollatorWithDynamicPack, DynamicPackCollator

ALL = [(algorithm, layout) for algorithm in ("multifit", "next_fit") for layout in ("rows", "flat")]


def test_a_batch_by_hand(tokenizer: Any) -> None:
    a, b, c = [11, 12, 13, 14, 15], [21, 22], [31, 32, 33, 34]
    batch = DynamicPackCollator(tokenizer, 8)([{"input_ids": ids} for ids in (a, b, c)])
    # Two rows are needed (11 tokens, at most 8 each), and of width 6 they pad one token.
    assert batch["input_ids"].tolist() == [[*a, 0], [*c, *b]]
    assert batch["labels"].tolist() == [[-100, 12, 13, 14, 15, -100], [-100, 32, 33, 34, -100, 22]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 0, 1]]
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, 5, 6, 10, 12]
    assert batch["cu_seq_lens_q"].dtype == torch.int32
    assert batch["max_length_q"] == batch["max_length_k"] == 5
    assert type(batch["max_length_q"]) is int
    assert batch["use_cache"] is False
    assert "attention_mask" not in batch


def test_the_padding_tail_is_a_segment_of_its_own(tokenizer: Any) -> None:
    batch = DynamicPackCollator(tokenizer, 6, algorithm="next_fit")([{"input_ids": [5] * n} for n in (1, 2, 6)])
    assert batch["input_ids"].tolist() == [[5, 5, 5, 0, 0, 0], [5] * 6]
    assert batch["position_ids"].tolist() == [[0, 0, 1, 0, 1, 2], [0, 1, 2, 3, 4, 5]]
    assert batch["labels"].tolist() == [[-100, -100, 5, -100, -100, -100], [-100, 5, 5, 5, 5, 5]]
    assert batch["cu_seq_lens_q"].tolist() == [0, 1, 3, 6, 12]


def test_a_tail_can_be_the_longest_segment(tokenizer: Any) -> None:
    batch = DynamicPackCollator(tokenizer, 5, algorithm="next_fit")([{"input_ids": [5] * n} for n in (1, 1, 4, 4)])
    assert batch["cu_seq_lens_q"].tolist() == [0, 1, 2, 4, 8, 12]
    one = DynamicPackCollator(tokenizer, 9, algorithm="next_fit")([{"input_ids": [5] * n} for n in (2, 2, 2, 2, 2)])
    assert one["cu_seq_lens_q"].tolist() == [0, 2, 4, 6, 8, 10, 16]
    assert one["max_length_q"] == 6


def test_flat_is_one_row_without_padding(tokenizer: Any, features: Any) -> None:
    collator = DynamicPackCollator(tokenizer, 24, layout="flat")
    batch = collator(features)
    assert batch["input_ids"].shape == (1, 66)
    assert collator.stats.n_padding_tokens == 0
    assert collator.stats.padding_fraction == 0.0


@pytest.mark.parametrize(("algorithm", "layout"), ALL)
def test_tokens_labels_and_order_survive(tokenizer: Any, features: Any, algorithm: Any, layout: Any) -> None:
    batch = DynamicPackCollator(tokenizer, 24, layout=layout, algorithm=algorithm)(features)
    bounds = batch["cu_seq_lens_q"].tolist()
    ids, labels, positions = (batch[key].flatten() for key in ("input_ids", "labels", "position_ids"))
    segments = list(itertools.pairwise(bounds))
    seen = Counter((tuple(ids[a:b].tolist()), tuple(labels[a:b].tolist())) for a, b in segments if ids[a] != 0)
    assert seen == Counter((tuple(f["input_ids"]), (-100, *f["labels"][1:])) for f in features)
    assert all(positions[a:b].tolist() == list(range(b - a)) for a, b in segments)
    assert batch["input_ids"].shape[1] <= 24 or layout == "flat"
    expected = Counter(label for f in features for label in f["labels"][1:] if label != -100)
    assert Counter(labels[labels != -100].tolist()) == expected


@pytest.mark.parametrize("form", [list, np.array, torch.tensor])
def test_features_are_read_in_every_form_and_not_changed(tokenizer: Any, features: Any, form: Any) -> None:
    given = [{key: form(column) for key, column in feature.items()} for feature in features]
    before = copy.deepcopy(given)
    with pytest.warns(UserWarning, match="longer than max_length"):
        batch = DynamicPackCollator(tokenizer, 20)(given)
    batch["input_ids"].fill_(0)
    for now, then in zip(given, before, strict=True):
        assert all(np.array_equal(np.asarray(now[key]), np.asarray(then[key])) for key in then)
        assert now.keys() == then.keys()


def test_a_long_sample_loses_its_end_and_is_counted_and_reported_once(
    tokenizer: Any, recwarn: pytest.WarningsRecorder
) -> None:
    collator = DynamicPackCollator(tokenizer, 8)
    long = {"input_ids": list(range(2, 14)), "labels": [-100] * 3 + list(range(5, 14))}
    for _ in range(2):
        batch = collator([long, {"input_ids": [50, 51]}])
    assert batch["input_ids"][0].tolist() == list(range(2, 10))
    assert batch["labels"][0].tolist() == [-100] * 3 + [5, 6, 7, 8, 9]
    assert collator.n_truncated == collator.stats.n_truncated == 2
    assert collator.stats.n_dropped_tokens == 8
    assert [str(w.message) for w in recwarn] == [
        "1 of 2 samples of this batch were longer than max_length and lost 4 tokens at their end. "
        "Later ones are only counted: collator.stats.n_truncated."
    ]


@pytest.mark.parametrize(
    ("extra", "name"), [({"row_id": 4711}, "Row 4711"), ({}, "The sample at position 1 of the batch")]
)
@pytest.mark.parametrize("n_tokens", [8, 12])
def test_a_prompt_that_fills_the_row_is_refused_by_name(
    tokenizer: Any, extra: dict[str, int], name: str, n_tokens: int
) -> None:
    prompt = {"input_ids": list(range(2, 2 + n_tokens)), "labels": [-100] * 8 + [9] * (n_tokens - 8), **extra}
    with pytest.raises(PackingError, match=f"{name} has a prompt of 8 tokens, which fills max_length=8"):
        DynamicPackCollator(tokenizer, 8)([{"input_ids": [3, 4]}, prompt])


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ({"input_ids": []}, "has no tokens"),
        ({"input_ids": [2, 3], "attention_mask": [0, 0]}, "has no tokens"),
        ({"labels": [2]}, "has no input_ids"),
        ({"input_ids": [2, 3], "labels": [2]}, "one length"),
        ({"input_ids": [[2, 3]]}, "one dimension"),
        ({"input_ids": [2, 3], "position_ids": [1, 2]}, "do not count up from 0"),
        ({"input_ids": [2, 3, 4, 5], "position_ids": [0, 1, 3, 4]}, "do not count up from 0"),
    ],
)
def test_malformed_features_are_refused(tokenizer: Any, feature: dict[str, Any], message: str) -> None:
    with pytest.raises(PackingError, match=message):
        DynamicPackCollator(tokenizer, 8)([feature])


def test_an_empty_batch_is_refused(tokenizer: Any) -> None:
    with pytest.raises(PackingError, match="without features"):
        DynamicPackCollator(tokenizer, 8)([])


@pytest.mark.parametrize("mask", [[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]])
def test_padding_inside_a_feature_is_left_out(tokenizer: Any, mask: list[int]) -> None:
    ids = [7 if keep else 0 for keep in mask]
    batch = DynamicPackCollator(tokenizer, 8)([{"input_ids": ids, "labels": ids, "attention_mask": mask}])
    assert batch["input_ids"].tolist() == [[7, 7, 7]]


def test_rows_packed_before_keep_their_segments(tokenizer: Any) -> None:
    packed = {"input_ids": [5, 6, 7, 8], "labels": [-100, 6, -100, 8], "position_ids": [0, 1, 0, 1]}
    collator = DynamicPackCollator(tokenizer, 6)
    batch = collator([packed, {"input_ids": [9, 9]}])
    assert batch["cu_seq_lens_q"].tolist() == [0, 2, 4, 6]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 0, 1]]
    assert collator.stats.n_samples == 3
    with pytest.raises(PackingError, match="was packed to 4 tokens, more than max_length=3"):
        DynamicPackCollator(tokenizer, 3)([packed])


def test_segments_can_be_left_out(tokenizer: Any, features: Any) -> None:
    batch = DynamicPackCollator(tokenizer, 24, return_segments=False)(features)
    assert set(batch) == {"input_ids", "labels", "position_ids", "use_cache"}


def test_padding_is_counted(tokenizer: Any) -> None:
    collator = DynamicPackCollator(tokenizer, 6, algorithm="next_fit")
    assert collator.stats.padding_fraction == 0.0
    collator([{"input_ids": [5] * n} for n in (1, 2, 6)])
    collator([{"input_ids": [5] * 4}])
    stats = collator.stats
    assert (stats.n_samples, stats.n_tokens, stats.n_padding_tokens) == (4, 13, 3)
    assert stats.padding_fraction == 3 / 16


def test_random_state_is_left_alone(tokenizer: Any, features: Any) -> None:
    np_state, torch_state = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    DynamicPackCollator(tokenizer, 24)(features)
    assert np.random.get_state()[1].tolist() == np_state  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_fields_are_checked(tokenizer: Any) -> None:
    for max_length in (None, 0, 1):
        with pytest.raises(ConfigError, match="for example max_length=2048"):
            DynamicPackCollator(tokenizer, max_length)
    with pytest.raises(ConfigError, match="pad_token"):
        DynamicPackCollator(type(tokenizer)(pad_token_id=None, eos_token_id=None), 8)
    with pytest.raises(UnknownNameError, match="Unknown layout 'row'"):
        DynamicPackCollator(tokenizer, 8, layout="row")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Unknown packing algorithm 'ffd'"):
        DynamicPackCollator(tokenizer, 8, algorithm="ffd")  # type: ignore[arg-type]


def test_eos_fills_rows_where_there_is_no_pad_token(tokenizer: Any) -> None:
    without_pad = type(tokenizer)(pad_token_id=None, eos_token_id=1)
    batch = DynamicPackCollator(without_pad, 3)([{"input_ids": [5, 5, 5]}, {"input_ids": [6, 6]}])
    assert sorted(batch["input_ids"].tolist()) == [[5, 5, 5], [6, 6, 1]]


def test_the_name_codeact_users_know() -> None:
    assert DataCollatorWithDynamicPack is DynamicPackCollator
