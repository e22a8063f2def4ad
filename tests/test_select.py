"""The second verb: budgets, masks, exclusions and provenance."""

import logging

import numpy as np
import pytest
from datasets import Dataset

from hf_select.budget import Budget
from hf_select.columns import with_columns
from hf_select.demo.model import build_model, train_tokenizer
from hf_select.errors import BudgetError, ConfigError, InvalidScoresError, RowError, UnknownNameError
from hf_select.methods import make
from hf_select.select import select
from hf_select.signals.keys import ANSWER_ALONE_NLL, EMBEDDING, RESPONSE_NLL, ROW_TOKENS

NLL = np.array([0.5, 3.0, 1.0, np.nan, 2.0, 3.0])
TOKENS = np.array([10, 20, 30, 40, 50, 60])


@pytest.fixture
def dataset() -> Dataset:
    bare = Dataset.from_dict({"prompt": [f"p{n}" for n in range(6)], "completion": [f"c{n}" for n in range(6)]})
    return with_columns(bare, {RESPONSE_NLL: NLL, ROW_TOKENS: TOKENS})


def test_the_best_rows_under_a_budget(dataset) -> None:
    selection = select(dataset, "loss", 3)
    assert selection.indices.tolist() == [1, 5, 4]  # ties go to the lower row id
    assert selection.scores.tolist() == [3.0, 3.0, 2.0]
    assert selection.apply(dataset)["prompt"][:] == ["p1", "p5", "p4"]
    assert select(dataset, make("loss"), "50%").indices.tolist() == [1, 5, 4]
    assert select(dataset, "loss", Budget.fraction("1/3")).indices.tolist() == [1, 5]


def test_a_token_budget_is_a_prefix(dataset) -> None:
    assert select(dataset, "loss", "100 tokens").indices.tolist() == [1, 5]  # 20 + 60, and 50 more would exceed it
    assert select(dataset, "loss", "130 tokens").indices.tolist() == [1, 5, 4]
    assert select(dataset, "loss", "1 tokens").indices.tolist() == [1]
    assert select(dataset, "loss", "1M tokens").indices.tolist() == [1, 5, 4, 2, 0]


def test_a_method_without_order_refuses_tokens(dataset) -> None:
    with pytest.raises(BudgetError, match="picks of 'cdas' for fewer rows are not a prefix"):
        select(dataset, "cdas", "100 tokens")


@pytest.mark.parametrize("candidates", [[0, 2, 4, 5], np.array([True, False, True, False, True, True])])
def test_candidates(dataset, candidates) -> None:
    selection = select(dataset, "loss", "50%", candidates=candidates)
    assert selection.indices.tolist() == [5, 4]
    assert (selection.provenance["n_candidates"], selection.n_rows) == (4, 6)
    assert selection.provenance["excluded"] == {}


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([6], r"outside 0..5: \[6\]"),
        ([-1], "outside"),
        (np.ones(5, bool), r"shape \(5,\) and the dataset has 6 rows"),
        ([0.5], "row ids; float64"),
    ],
)
def test_masks_that_do_not_fit_are_refused(dataset, candidates, message) -> None:
    with pytest.raises(RowError, match=message):
        select(dataset, "loss", 1, candidates=candidates)


def test_no_candidate_is_an_empty_pool(dataset) -> None:
    with pytest.raises(BudgetError, match="pool is empty"):
        select(dataset, "loss", 1, candidates=[])


def test_labelled_rows_reach_the_method(dataset) -> None:
    points = with_columns(dataset, {EMBEDDING: np.array([[0], [1], [2], [3], [4], [10]], np.float32)})
    assert select(points, "core_set", 1, labelled=[5]).indices.tolist() == [0]
    assert select(points, "core_set", 1, labelled=[0]).indices.tolist() == [5]


def test_rows_without_a_score_are_counted_or_refused(dataset, caplog) -> None:
    with caplog.at_level(logging.WARNING, "hf_select"):
        selection = select(dataset, "loss", 2)
    assert selection.provenance["excluded"] == {"no finite score": 1}
    assert "loss: 1 rows are not eligible: no finite score (first: [3])" in caplog.text
    with pytest.raises(InvalidScoresError, match=r"1 rows: no finite score \(first: \[3\]\)"):
        select(dataset, "loss", 2, on_invalid="error")
    with pytest.raises(ConfigError, match="on_invalid='drop'"):
        select(dataset, "loss", 2, on_invalid="drop")
    with pytest.warns(UserWarning, match="6 rows were asked for and only 5 are eligible"):
        assert 3 not in select(dataset, "loss", 6).indices


def test_a_rule_of_the_method_is_no_invalid_score(dataset) -> None:
    scored = with_columns(dataset, {ANSWER_ALONE_NLL: np.array([1.0, 2.0, 4.0, 2.0, 2.5, 3.5])})
    finite = scored.select([0, 1, 2, 4, 5])
    selection = select(finite, "ifd", 2, on_invalid="error")
    assert selection.indices.tolist() == [0, 3]  # log IFD -0.5, +1, -3, -0.5, -0.5
    assert selection.provenance["excluded"] == {"IFD >= 1": 1}


def test_provenance_says_how(dataset) -> None:
    selection = select(dataset, make("random"), "2 rows", seed=7)
    made = selection.provenance
    assert (made["method"], made["budget"], made["seed"]) == ({"name": "random"}, str(Budget.rows(2)), 7)
    assert made["dataset_fingerprint"] == dataset._fingerprint
    assert made["versions"].keys() >= {"hf-select", "torch", "transformers", "datasets"}
    assert set(made["seconds"]) == {"extract", "pick"}
    assert select(dataset, "random", 2, seed=7).indices.tolist() == selection.indices.tolist()
    picks = {tuple(select(dataset, "random", 2, seed=seed).indices) for seed in range(8)}
    assert len(picks) > 1


def test_what_is_missing_is_extracted_once(tmp_path) -> None:
    tokenizer = train_tokenizer(["def add(a, b): return a + b"], 300)
    model = build_model(tokenizer, hidden=32, max_length=128)
    rows = [{"prompt": f"add {n}", "completion": f"return {n} + x" * (1 + n % 3)} for n in range(12)]
    bare = Dataset.from_list(rows)
    selection = select(bare, "loss", "60 tokens", model=model, tokenizer=tokenizer, cache_dir=tmp_path, progress=False)
    assert 1 <= len(selection) < 12
    used = selection.provenance["read_with"]
    assert used["model"]["weights"]
    assert used["template"]["name"] == "question"
    assert used["tokenizer"]["hash"]
    assert bare.column_names == ["prompt", "completion"]
    assert len(list(tmp_path.iterdir())) == 1  # the text pass stores nothing
    selection.save(tmp_path / "saved")
    assert type(selection).load(tmp_path / "saved").provenance == selection.provenance


def test_unknown_names(dataset) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'loss'"):
        select(dataset, "los", 1)
    with pytest.raises(ConfigError, match="Did you mean 'template'"):
        select(dataset, "loss", 1, tempate="x")
