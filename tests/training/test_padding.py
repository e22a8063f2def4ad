"""The padding collator: the same tokens and labels as the packed one, one sample per row."""

from collections import Counter
from typing import Any

import pytest

from hf_select.errors import ConfigError, PackingError, UnknownNameError
from hf_select.training import DynamicPackCollator, PaddingCollator


@pytest.mark.parametrize(("padding", "width"), [("longest", 3), ("max_length", 5)])
def test_a_batch_by_hand(tokenizer: Any, padding: Any, width: int) -> None:
    collator = PaddingCollator(tokenizer, 5, padding=padding)
    batch = collator([{"input_ids": [7, 8, 9], "labels": [-100, 8, 9]}, {"input_ids": [5]}])
    more = width - 3
    assert batch["input_ids"].tolist() == [[7, 8, 9] + [0] * more, [5, 0, 0] + [0] * more]
    assert batch["labels"].tolist() == [[-100, 8, 9] + [-100] * more, [-100] * width]
    assert batch["attention_mask"].tolist() == [[1, 1, 1] + [0] * more, [1, 0, 0] + [0] * more]
    assert collator.stats.padding_fraction == (2 * width - 4) / (2 * width)


def test_it_trains_on_the_same_labels_as_the_packed_collator(tokenizer: Any, features: Any) -> None:
    padded, packed = PaddingCollator(tokenizer, 16), DynamicPackCollator(tokenizer, 16)
    with pytest.warns(UserWarning, match="lost 7 tokens"):
        padded_labels = padded(features)["labels"]
    with pytest.warns(UserWarning, match="lost 7 tokens"):
        packed_labels = packed(features)["labels"]
    assert Counter(padded_labels[padded_labels != -100].tolist()) == Counter(
        packed_labels[packed_labels != -100].tolist()
    )
    assert padded.n_truncated == packed.n_truncated == 1
    assert padded.stats.n_tokens == packed.stats.n_tokens == 59


def test_what_is_refused(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="max_length is None"):
        PaddingCollator(tokenizer)
    with pytest.raises(UnknownNameError, match="Did you mean 'longest'"):
        PaddingCollator(tokenizer, 8, padding="longst")  # type: ignore[arg-type]
    with pytest.raises(PackingError, match="Row 3 has a prompt"):
        PaddingCollator(tokenizer, 2)([{"input_ids": [4, 5, 6], "labels": [-100, -100, 6], "row_id": 3}])
    with pytest.raises(PackingError, match="use DynamicPackCollator"):
        PaddingCollator(tokenizer, 8)([{"input_ids": [4, 5, 6], "position_ids": [0, 1, 0]}])
