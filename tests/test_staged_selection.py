"""Selection in stages: which rows each pass is given, through real selections."""

import logging
from dataclasses import dataclass

import numpy as np
import pytest
from datasets import Dataset

from hf_select.columns import with_columns
from hf_select.demo.model import build_model, train_tokenizer
from hf_select.errors import BudgetError, ConfigError, MissingSignalError, RowError
from hf_select.extract import extract
from hf_select.methods import make
from hf_select.methods.base import Family, Method, Scorer, Want, top_k
from hf_select.methods.quality.less import LESS
from hf_select.methods.quality.staff import STAFF
from hf_select.rows import RowFormat
from hf_select.select import select
from hf_select.signals.keys import (
    RESPONSE_NLL,
    ROW_TEXT,
    ROW_TOKENS,
    TEXT_LENGTH,
    Pass,
    effort,
    less_influence,
)
from hf_select.signals.passes import PASSES
from hf_select.signals.table import Signals

N_ROWS = 120
DRAFT, TARGET = effort("last_value_projection", "draft"), effort("last_value_projection", "target")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["add 17", "return x + y"], 300)


@pytest.fixture(scope="module")
def model(tokenizer):
    return build_model(tokenizer, hidden=32, max_length=128)


@pytest.fixture
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    n_words = rng.integers(1, 30, N_ROWS)
    return Dataset.from_list(
        [{"prompt": f"add {row}", "completion": "return x + y " * int(n)} for row, n in enumerate(n_words)]
    )


@pytest.fixture
def given(monkeypatch) -> dict[Pass, list[tuple[set[str], list[str]]]]:
    """What every pass was given: names of signals and prompts of rows, call by call."""
    log: dict[Pass, list[tuple[set[str], list[str]]]] = {read_in: [] for read_in in PASSES}
    for read_in, run in list(PASSES.items()):

        def watched(wanted, source, read_in=read_in, run=run):
            log[read_in].append(({signal.name for signal in wanted}, [row.prompt for row in source.rows]))
            return run(wanted, source)

        monkeypatch.setitem(PASSES, read_in, watched)
    return log


@pytest.fixture
def gradients(monkeypatch) -> list[tuple[set[str], list[str]]]:
    """A gradients pass that is a formula of the number in the prompt, and what it was given."""
    log = []

    def formula(wanted, source):
        log.append(({signal.name for signal in wanted}, [row.prompt for row in source.rows]))
        numbers = np.array([float(row.prompt.split()[1]) for row in source.rows])
        columns = {
            DRAFT: 1 + numbers % 37,
            TARGET: 1 + numbers % 11,
            less_influence(): np.stack(
                [np.cos(numbers + len(rows)) for rows in source.reference.values()] or [numbers], 1
            ),
        }
        return {signal: columns[signal] for signal in wanted}

    monkeypatch.setitem(PASSES, Pass.GRADIENTS, formula)
    return log


def calls(given, *passes: Pass) -> dict[Pass, list[int]]:
    """Rows of each call of the passes that ran; asserts that no other ran."""
    ran = {read_in: [len(prompts) for _, prompts in log] for read_in, log in given.items() if log}
    assert set(ran) == set(passes)
    return ran


def test_a_real_model_reads_only_the_rows_that_are_left(dataset, given, model, tokenizer) -> None:
    means = {"model": model, "tokenizer": tokenizer, "cache_dir": False, "progress": False}
    cascade = make("cascade", stages="length:25% > loss:20 > core_set")
    selection = select(dataset, cascade, 6, embedder="tfidf", **means)
    assert calls(given, Pass.TEXT, Pass.FORWARD, Pass.EMBEDDING) == {
        Pass.TEXT: [120], Pass.FORWARD: [30], Pass.EMBEDDING: [20],
    }  # fmt: skip
    assert selection.provenance["read_for"] == {"embedding": 20, "response_nll": 30, "text_length": 120}
    assert selection.provenance["signals_given"] == []
    whole = extract(dataset, {TEXT_LENGTH, RESPONSE_NLL}, **means)
    length, loss = (Signals.from_dataset(whole, [s])[s] for s in (TEXT_LENGTH, RESPONSE_NLL))
    longest = np.argsort(-length, kind="stable")[:30]
    hardest = longest[np.argsort(-loss[longest])][:20]
    assert len(selection) == 6
    assert set(selection.indices.tolist()) < set(hardest.tolist())
    assert [prompt for _, prompts in given[Pass.EMBEDDING] for prompt in prompts] == [
        f"add {row}" for row in sorted(hardest)
    ]


def test_what_part_of_the_rows_was_read_with_is_recorded_too(dataset, model, tokenizer) -> None:
    means = {"model": model, "tokenizer": tokenizer, "cache_dir": False, "progress": False}
    staged = select(dataset, make("cascade", stages="length:50% > loss"), 6, max_length=100, **means)
    plain = select(dataset, "loss", 6, max_length=100, **means)
    assert staged.provenance["read_with"] == plain.provenance["read_with"]
    assert staged.provenance["read_with"]["max_length"] == 100
    assert staged.provenance["read_with"]["template"]["name"] == "question"


def test_staff_asks_the_target_for_few_rows(dataset, gradients, model, tokenizer) -> None:
    method = STAFF(n_strata=4, n_verified=6)
    means = {"model": model, "tokenizer": tokenizer, "companions": {"draft_model": (model, tokenizer)}}
    selection = select(dataset, method, 30, seed=3, **means)
    assert [(names, len(prompts)) for names, prompts in gradients] == [({DRAFT.name}, 120), ({TARGET.name}, 24)]
    assert selection.provenance["read_for"] == {DRAFT.name: 120, TARGET.name: 24}
    numbers = np.arange(120.0)
    whole = Signals({DRAFT: 1 + numbers % 37, TARGET: 1 + numbers % 11})
    expected = method.pick(whole, 30, np.random.default_rng(3))
    assert selection.indices.tolist() == expected.indices.tolist()
    assert selection.scores.tolist() == expected.scores.tolist()


def test_staff_in_small_strata_asks_the_target_for_nothing(dataset, gradients, model, tokenizer) -> None:
    means = {"model": model, "tokenizer": tokenizer}
    selection = select(dataset, STAFF(n_strata=50, n_verified=10), 30, **means)
    assert [names for names, _ in gradients] == [{DRAFT.name}]
    assert selection.provenance["read_for"] == {DRAFT.name: 120, TARGET.name: 0}
    assert selection.provenance["signals_given"] == []
    assert len(selection) == 30


def test_staff_inside_a_cascade(dataset, gradients, given, model, tokenizer) -> None:
    cascade = make("cascade", stages="length:80 > staff(n_strata=3, n_verified=5):40 > length(prefer=short)")
    selection = select(dataset, cascade, 10, model=model, tokenizer=tokenizer)
    assert [(names, len(prompts)) for names, prompts in gradients] == [({DRAFT.name}, 80), ({TARGET.name}, 15)]
    assert set(gradients[1][1]) < set(gradients[0][1])
    assert selection.provenance["read_for"] == {DRAFT.name: 80, TARGET.name: 15, "text_length": 120}


def test_rows_that_may_not_be_picked_are_not_read_but_labelled_rows_are(dataset, given) -> None:
    candidates, labelled = np.arange(0, 60), [3, 70, 71]
    means = {"candidates": candidates, "labelled": labelled, "embedder": "tfidf", "progress": False}
    selection = select(dataset, make("cascade", stages="length:50% > core_set"), 8, **means)
    assert calls(given, Pass.TEXT, Pass.EMBEDDING) == {Pass.TEXT: [62], Pass.EMBEDDING: [33]}
    assert {"add 3", "add 70", "add 71"} < set(given[Pass.EMBEDDING][0][1])
    assert set(selection.indices.tolist()) <= set(range(60)) - {3}
    assert (selection.provenance["n_candidates"], selection.provenance["n_labelled"]) == (60, 3)
    assert selection.provenance["excluded"] == {}
    assert len(selection) == 8


def test_a_method_of_one_stage_reads_candidates_alone_and_counts_tokens_of_picks(dataset, given, tokenizer) -> None:
    selection = select(dataset, "length", "200 tokens", candidates=[7, 50, 99], tokenizer=tokenizer)
    assert calls(given, Pass.TEXT) == {Pass.TEXT: [3]}
    tokens = Signals.from_dataset(extract(dataset, {ROW_TOKENS}, tokenizer=tokenizer), [ROW_TOKENS])[ROW_TOKENS]
    length = [len(dataset[row]["prompt"] + dataset[row]["completion"]) for row in (7, 50, 99)]
    order = np.array([7, 50, 99])[np.argsort(-np.array(length), kind="stable")]
    n_kept = max(1, int((np.cumsum(tokens[order]) <= 200).sum()))
    assert selection.indices.tolist() == order[:n_kept].tolist()


def test_an_empty_pool_reads_nothing(dataset, given) -> None:
    with pytest.raises(BudgetError, match="pool is empty"):
        select(dataset, "length", 1, candidates=[])
    assert calls(given) == {}


@pytest.mark.parametrize("stages", ["length:50% > loss", "loss:50% > length:20% > core_set", "random:5x > loss"])
def test_ids_are_rows_of_a_shuffled_view(dataset, model, tokenizer, stages) -> None:
    means = {"model": model, "tokenizer": tokenizer, "cache_dir": False, "progress": False}
    view = dataset.shuffle(seed=1).select(range(10, 90)).select(np.random.default_rng(2).permutation(80)[:60])
    assert view._indices is not None
    flat = Dataset.from_list(list(view))
    method = make("cascade", stages=stages)
    found, expected = select(view, method, 7, **means), select(flat, method, 7, **means)
    assert found.indices.tolist() == expected.indices.tolist()
    assert found.n_rows == 60
    assert found.apply(view)["prompt"][:] == [flat[int(row)]["prompt"] for row in expected.indices]


def test_columns_that_are_there_are_taken_and_told_apart(dataset, given, model, tokenizer) -> None:
    loss = np.random.default_rng(0).uniform(size=N_ROWS)
    scored = with_columns(dataset, {RESPONSE_NLL: loss})
    method = make("cascade", stages="length:50% > loss")
    selection = select(scored, method, 5)
    assert calls(given, Pass.TEXT) == {Pass.TEXT: [120]}
    assert selection.provenance["signals_given"] == ["response_nll"]
    assert selection.provenance["read_for"] == {"text_length": 120}
    anew = select(scored, method, 5, model=model, tokenizer=tokenizer, cache_dir=False, progress=False)
    assert anew.provenance["signals_given"] == []
    assert anew.provenance["read_for"] == {"response_nll": 60, "text_length": 120}
    assert anew.scores.tolist() != selection.scores.tolist()


def test_what_a_later_stage_lacks_is_refused_before_anything_is_read(dataset, given) -> None:
    with pytest.raises(ConfigError, match="'response_nll' is read in the forward pass: give model="):
        select(dataset, make("cascade", stages="length:50% > loss"), 5)
    with pytest.raises(BudgetError, match="not a prefix"):
        select(dataset, make("cascade", stages="length:50% > random"), "100 tokens")
    assert calls(given) == {}


def test_an_earlier_stage_that_keeps_too_few_is_refused_after_the_cheap_pass(dataset, given, model, tokenizer) -> None:
    with pytest.raises(BudgetError, match="'length:10%' keeps 12 of 120 rows and the cascade is to pick 60"):
        select(dataset, make("cascade", stages="length:10% > loss"), "50%", model=model, tokenizer=tokenizer)
    assert calls(given, Pass.TEXT) == {Pass.TEXT: [120]}


def test_the_seed_decides_which_rows_are_read(dataset, gradients, model, tokenizer) -> None:
    for seed in (0, 0, 1):
        select(dataset, STAFF(n_strata=2), 10, seed=seed, model=model, tokenizer=tokenizer)
    asked = [prompts for names, prompts in gradients if names == {TARGET.name}]
    assert len(asked) == 3
    assert asked[0] == asked[1] != asked[2]


def test_exclusions_of_the_first_stage_are_counted(dataset, caplog, model, tokenizer) -> None:
    rows = [{**row, "completion": "" if number < 3 else row["completion"]} for number, row in enumerate(dataset)]
    means = {"model": model, "tokenizer": tokenizer, "cache_dir": False, "progress": False}
    with caplog.at_level(logging.WARNING, "hf_select"):
        selection = select(Dataset.from_list(rows), make("cascade", stages="loss:117 > length"), 9, **means)
    assert selection.provenance["excluded"] == {"no finite score": 3}
    assert "3 rows are not eligible: no finite score (first: [0, 1, 2])" in caplog.text


@dataclass(frozen=True)
class Probe(Method):
    """Keeps the longest rows; asks for the text of the ``k`` longest, and as often as it is told to."""

    name = "probe"
    family = Family.QUALITY
    citation = ""
    times: int = 1
    ordered = True

    @property
    def needs(self):
        return frozenset({TEXT_LENGTH, ROW_TEXT})

    @property
    def needs_at_first(self):
        return frozenset({TEXT_LENGTH})

    def exclusions(self, signals):
        return {"no finite length": ~np.isfinite(signals[TEXT_LENGTH])}

    def wants(self, signals, k, rng):
        if ROW_TEXT in signals and self.times == 1:
            return None
        return Want(frozenset({ROW_TEXT}), np.sort(top_k(signals[TEXT_LENGTH], np.arange(signals.n_rows), k).indices))

    def choose(self, signals, rows, k, rng):
        assert (np.array([isinstance(text, str) for text in signals[ROW_TEXT]])).sum() >= k
        return top_k(signals[TEXT_LENGTH], rows, k)


def test_text_that_was_not_read_is_no_text(dataset, given) -> None:
    selection = select(dataset, Probe(), 9)
    assert [len(prompts) for _, prompts in given[Pass.TEXT]] == [120, 9]
    assert given[Pass.TEXT][1][1] == [f"add {row}" for row in sorted(selection.indices)]


def test_a_signal_that_is_wanted_again_is_refused(dataset) -> None:
    with pytest.raises(MissingSignalError, match=r"'probe' wants \['row_text'\] a second time"):
        select(dataset, Probe(times=2), 9)


def test_an_ordered_method_in_stages_takes_a_budget_of_tokens(dataset, tokenizer) -> None:
    selection = select(dataset, Probe(), "300 tokens", tokenizer=tokenizer)
    assert selection.indices.tolist() == select(dataset, "length", "300 tokens", tokenizer=tokenizer).indices.tolist()
    assert selection.provenance["read_for"] == {"row_text": 120, "row_tokens": 120, "text_length": 120}


@dataclass(frozen=True)
class LikeReference(Scorer):
    """Rows whose length is nearest to a reference row's."""

    name = "like_reference"
    family = Family.QUALITY
    citation = ""

    @property
    def needs(self):
        return frozenset({TEXT_LENGTH})

    @property
    def reference_needs(self):
        return frozenset({TEXT_LENGTH})

    def score(self, signals):
        aims = np.concatenate([aim[TEXT_LENGTH] for aim in signals.reference.values()])
        return -np.abs(signals[TEXT_LENGTH][:, None] - aims).min(axis=1).astype(np.float64)


@pytest.fixture
def read_datasets(monkeypatch) -> list[int]:
    """Numbers of rows of the datasets whose rows were read."""
    sizes, read = [], RowFormat.read

    def counted(self, dataset):
        sizes.append(len(dataset))
        return read(self, dataset)

    monkeypatch.setattr(RowFormat, "read", counted)
    return sizes


@pytest.mark.parametrize("method", [LikeReference(), LESS()], ids=lambda method: method.name)
def test_reference_sets_are_read_once_in_columns_of_their_own(
    dataset, read_datasets, gradients, model, tokenizer, method
) -> None:
    renamed = dataset.rename_columns({"prompt": "question", "completion": "answer"})
    reference = {
        "one": dataset.select([5, 6, 7]),
        "two": Dataset.from_list([{"instruction": "add 1", "output": "return x"}] * 4),
        "three": renamed.select([8, 9]),
    }
    selection = select(
        renamed, method, 12, reference=reference, columns={"prompt": "question", "response": "answer"},
        model=model, tokenizer=tokenizer,
    )  # fmt: skip
    assert sorted(read_datasets) == [2, 3, 4, N_ROWS]
    assert selection.provenance["n_reference"] == {"one": 3, "two": 4, "three": 2}
    if method.name == "less":
        expected = np.cos(np.arange(N_ROWS)[:, None] + [3, 4, 2]).max(axis=1)
        assert selection.indices.tolist() == np.argsort(-expected, kind="stable")[:12].tolist()
        assert len(gradients) == 1
    else:
        assert {5, 6, 7, 8, 9} <= set(selection.indices.tolist())


def test_a_method_in_a_later_stage_aims_at_the_reference_set(dataset, gradients, model, tokenizer) -> None:
    cascade = make("cascade", stages="length:50% > less")
    with pytest.raises(ConfigError, match="'cascade' aims at a reference set"):
        select(dataset, cascade, 5, model=model, tokenizer=tokenizer)
    with pytest.raises(RowError, match="no rows"):
        select(dataset, cascade, 5, model=model, tokenizer=tokenizer, reference=dataset.select([]))
    selection = select(dataset, cascade, 5, model=model, tokenizer=tokenizer, reference=dataset.select(range(4)))
    [(names, prompts)] = gradients
    assert names == {less_influence().name}
    assert len(prompts) == 60
    numbers = np.array([int(prompt.split()[1]) for prompt in prompts])
    assert selection.indices.tolist() == numbers[np.argsort(-np.cos(numbers + 4.0), kind="stable")][:5].tolist()
