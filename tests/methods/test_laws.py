"""The laws: what every method of ``METHODS`` promises, checked for every one of them and for its variants.

A method that is added is checked without a line here; a variant worth checking is one line in ``VARIANTS``.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import random
import re
import warnings

import numpy as np
import pytest
import yaml

import hf_select.methods
from hf_select.errors import BudgetError, ConfigError, MissingSignalError
from hf_select.methods import METHODS, Method, Scorer, make
from hf_select.methods.catalogue import SECTIONS, sections
from hf_select.signals.keys import ROW_TEXT, ROW_TOKENS, Pass, Signal
from hf_select.signals.table import Signals

CLASSIFICATION = {"task": "classification"}
VARIANTS: dict[str, list[dict]] = {
    "least_confidence": [CLASSIFICATION, {"norm": "sum"}],
    "entropy": [CLASSIFICATION, {"aggregate": "max"}],
    "margin": [CLASSIFICATION, {"aggregate": "min"}],
    "bald": [CLASSIFICATION, {**CLASSIFICATION, "measure": "variation_ratio"}],
    "batch_bald": [{"max_batch": 5, "fallback": "power_bald"}, {"n_configurations": 16}],
    "egl": [CLASSIFICATION],
    "spuq": [CLASSIFICATION, {"similarity": "rouge_l", "pairs": "first"}],
    "uq_icl": [CLASSIFICATION],
    "bm25": [{"variant": "okapi"}, {"self_pool": True}, {"terms": "whitespace"}],
    "cluster_margin": [CLASSIFICATION, {"within": "random"}],
    "badge": [CLASSIFICATION],
    "contrastive": [{"reference": "pool"}, {"n_neighbours": 3}],
    "dataset_quantization": [{"n_bins": 3}, {"within": "gain"}],
    "zip": [{"reference": "published"}],
    "rds_plus": [CLASSIFICATION, {"aggregate": "mean"}, {"aggregate": "max"}],
    "less": [{"update": "sgd"}, {"aggregation": "cosine_of_mean"}],
    "staff": [{"within": "random"}, {"bins": "quantile", "n_strata": 5, "n_verified": 5}],
    "discore": [{"aggregate": "mean_z", "engine": "plain"}, {"aggregate": "round_robin"}, {"rule": "gumbel"}],
    "influence_predictor": [{"engine": "plain"}, {"n_labelled": 50}],
    "length": [{"prefer": "short"}],
    "cascade": [
        {"stages": "loss:4x > ifd(max_ifd=None):2x > staff(n_strata=2)"},
        {"stages": "entropy:3x > badge"},
        {"stages": "margin:2x > staff", "task": "classification"},
    ],
    "core_set": [{"init": "random"}, {"init": 5}, {"n_shards": 3}],
    "k_means": [{"max_clusters": 3}],
    "graph_density": [{"metric": "euclidean"}, {"n_neighbours": 500}, {"gamma": 2.0}],
    "perplexity": [{"prefer": "high"}],
    "ifd": [{"ratio": "loss", "prefix": "### Response:", "max_inclusive": True}, {"max_ifd": None}],
    "cdas": [{"n_clusters": 3, "seed": 7}, {"within": "random"}, {"max_ifd": 0.9}],
}
CASES = [make(name, **fields) for name in METHODS for fields in ({}, *VARIANTS.get(name, []))]
SCORERS = [case for case in CASES if isinstance(case, Scorer)]
ORDERED = [case for case in CASES if case.ordered]
N_ROWS = 60


def label(method: Method) -> str:
    config = method.config()
    changed = {k: v for k, v in config.items() if k != "name" and v != make(method.name).config()[k]}
    return f"{method.name}-{changed}" if changed else method.name


every_method = pytest.mark.parametrize("method", CASES, ids=label)


def signals_for(method: Method, n_rows: int = N_ROWS, seed: int = 0, **masks) -> Signals:
    """Random signals of the shapes that the method declares."""
    rng = np.random.default_rng(seed)
    reference = {
        task: Signals({signal: values_of(signal, 5, rng) for signal in ordered(method.reference_needs)}, n_rows=5)
        for task in (("one", "two") if method.reference_needs else ())
    }
    return Signals(
        {signal: values_of(signal, n_rows, rng) for signal in ordered(method.needs)},
        reference=reference,
        n_rows=n_rows,
        **masks,
    )


def ordered(signals: frozenset[Signal]) -> list[Signal]:
    return sorted(signals, key=lambda signal: signal.name)


def values_of(signal: Signal, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    if signal == ROW_TEXT:
        words = ["def", "return", "class", "import", "self", "x", "y", "0", "1", "(", ")", ":"]
        return np.asarray([" ".join(rng.choice(words, size=rng.integers(5, 30))) for _ in range(n_rows)], dtype=object)
    if "probabilities" in signal.name:
        shape = (n_rows, 3) if signal.shape == "(N, C)" else (n_rows, 4, 3)
        return rng.dirichlet(np.ones(3), size=shape[:-1])
    if signal.shape == "(N, D)":
        vectors = rng.normal(size=(n_rows, 8)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if signal.read_in is Pass.ANSWER_ALONE:  # mostly above the loss with a prompt, so that most rows have IFD < 1
        return rng.uniform(0.8, 3.0, size=n_rows)
    return rng.uniform(0.1, 1.0, size=n_rows)


def pick(method: Method, signals: Signals, k: int, seed: int = 3):
    with warnings.catch_warnings():  # four samples of a model cannot tell many rows apart, and batch_bald says so
        warnings.filterwarnings("ignore", message=".*(no row adds more than|told apart)")
        return method.pick(signals, k, np.random.default_rng(seed))


def test_the_cases_cover_every_method():
    assert {case.name for case in CASES} == set(METHODS)
    assert set(VARIANTS) <= set(METHODS)
    assert len(CASES) == len(METHODS) + sum(map(len, VARIANTS.values())) >= 20
    assert len(SCORERS) >= 5
    assert len(ORDERED) >= 10


def test_the_table_holds_every_method_of_the_package():
    for module in pkgutil.walk_packages(hf_select.methods.__path__, "hf_select.methods."):
        importlib.import_module(module.name)
    found, queue = set(), [Method]
    while queue:
        for child in queue.pop().__subclasses__():
            queue.append(child)
            if not inspect.isabstract(child) and child.__module__.startswith("hf_select.") and "name" in vars(child):
                found.add(child)
    assert found == set(METHODS.values())
    assert all(name == method.name for name, method in METHODS.items())


@every_method
def test_reads_only_what_it_declares(method):
    signals = signals_for(method)
    lone = pick(method, signals, 10)
    more = signals.with_values({ROW_TOKENS: np.arange(N_ROWS)})
    assert pick(method, more, 10).indices.tolist() == lone.indices.tolist()
    for missing in method.needs:
        there = {s: signals[s] for s in signals if s != missing}
        fewer = Signals(there, reference=signals.reference, n_rows=N_ROWS)
        with pytest.raises(MissingSignalError, match=missing.name):
            pick(method, fewer, 10)


@every_method
def test_same_seed_same_picks_and_global_random_state_untouched(method):
    signals = signals_for(method)
    before = (random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2])  # noqa: NPY002
    first, second = pick(method, signals, 20), pick(method, signals, 20)
    after = (random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2])  # noqa: NPY002
    assert first.indices.tolist() == second.indices.tolist()
    assert first.scores.tolist() == second.scores.tolist()
    assert before == after


@every_method
@pytest.mark.parametrize("k", [1, 2, 7, 31])
def test_picks_are_distinct_row_ids_exactly_k_with_finite_scores(method, k):
    signals = signals_for(method)
    indices, scores = pick(method, signals, k)
    assert indices.dtype == np.int64
    assert scores.dtype == np.float64
    assert indices.shape == scores.shape == (k,)
    assert len(set(indices.tolist())) == k
    assert set(indices.tolist()) <= set(method.eligible(signals).tolist())
    assert np.isfinite(scores).all()


@every_method
def test_all_eligible_rows_when_k_is_their_number_and_a_warning_beyond(method):
    signals = signals_for(method)
    eligible = method.eligible(signals).tolist()
    assert sorted(pick(method, signals, len(eligible)).indices.tolist()) == eligible
    none_of_the_last = Signals(
        {s: signals[s] for s in signals},
        candidates=np.arange(N_ROWS) < N_ROWS - 5,
        reference=signals.reference,
        n_rows=N_ROWS,
    )
    with pytest.warns(UserWarning, match=f"{N_ROWS} rows were asked for and only"):
        indices = pick(method, none_of_the_last, N_ROWS).indices
    assert sorted(indices.tolist()) == [row for row in eligible if row < N_ROWS - 5]


@every_method
def test_a_number_of_rows_that_cannot_be_is_refused(method):
    for k in (0, -1, N_ROWS + 1):
        with pytest.raises(BudgetError, match=f"1..{N_ROWS}"):
            pick(method, signals_for(method), k)


@every_method
def test_no_eligible_row_gives_no_pick(method):
    signals = signals_for(method, candidates=np.zeros(N_ROWS, dtype=bool))
    with pytest.warns(UserWarning, match="only 0 are eligible"):
        indices, scores = pick(method, signals, 3)
    assert len(indices) == len(scores) == 0


@every_method
def test_ids_are_row_ids_and_not_positions_among_candidates(method):
    """Seven rows put before all others, and not to be picked, move every pick by seven and change nothing else."""
    signals, n_before = signals_for(method), 7
    junk = signals_for(method, n_rows=n_before, seed=99)
    longer = Signals(
        {s: np.concatenate([junk[s], signals[s]]) for s in signals},
        candidates=np.arange(N_ROWS + n_before) >= n_before,
        reference=signals.reference,
        n_rows=N_ROWS + n_before,
    )
    init = getattr(method, "init", None)
    moved = dataclasses.replace(method, init=init + n_before) if isinstance(init, int) else method
    expected, found = pick(method, signals, 25), pick(moved, longer, 25)
    assert found.indices.tolist() == (expected.indices + n_before).tolist()
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)


@every_method
def test_candidates_alone_are_picked(method):
    allowed = np.random.default_rng(5).random(N_ROWS) < 0.5
    allowed[5] = True
    signals = signals_for(method, candidates=allowed)
    k = len(method.eligible(signals))
    assert 5 <= k < N_ROWS
    assert allowed[pick(method, signals, k).indices].all()


@every_method
def test_labelled_rows_are_never_picked(method):
    labelled = np.zeros(N_ROWS, dtype=bool)
    labelled[20:40] = True
    signals = signals_for(method, labelled=labelled)
    k = len(method.eligible(signals))
    assert 5 <= k <= N_ROWS - 20
    assert not labelled[pick(method, signals, k).indices].any()


@every_method
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_without_finite_signals_are_excluded_with_a_reason(method, bad):
    signals = signals_for(method)
    lost = [0, 17, 40]
    first = ordered(method.needs_at_first)
    for number, signal in enumerate(first):
        signals[signal][lost[number % 3]] = "" if signal == ROW_TEXT else bad
    hurt = set(lost[: len(first)])
    reasons = method.exclusions(signals)
    assert all(mask.dtype == bool and mask.shape == (N_ROWS,) for mask in reasons.values())
    named = [mask for reason, mask in reasons.items() if re.search("finite|text", reason)]
    counted = {int(row) for mask in named for row in np.flatnonzero(mask)}
    assert counted == hurt
    eligible = method.eligible(signals)
    indices = pick(method, signals, len(eligible)).indices
    assert not hurt & set(indices.tolist())


@every_method
def test_inputs_are_not_changed(method):
    signals = signals_for(method, candidates=np.ones(N_ROWS, dtype=bool))
    before = {s: signals[s].copy() for s in signals}
    for s in signals:
        signals[s].setflags(write=False)
    signals.candidates.setflags(write=False)
    pick(method, signals, 20)
    assert all(np.array_equal(before[s], signals[s]) for s in before)
    assert signals.candidates.all()


@pytest.mark.parametrize("method", ORDERED, ids=label)
def test_an_ordered_method_is_prefix_stable(method):
    signals = signals_for(method)
    longest = pick(method, signals, 40)
    for k in (1, 2, 13, 39):
        shorter = pick(method, signals, k)
        assert shorter.indices.tolist() == longest.indices[:k].tolist()
        assert shorter.scores.tolist() == longest.scores[:k].tolist()


def starts_by_rule(method: Method) -> bool:
    """Whether nothing but the signals decides where the picks begin."""
    config = method.config()
    told = config.get("init", "farthest_from_mean") != "farthest_from_mean"
    draws = method.name == "random" or config.get("within") == "random" or config.get("rule") == "gumbel"
    return not draws and not told


@pytest.mark.parametrize("method", list(filter(starts_by_rule, CASES)), ids=label)
def test_ties_go_to_the_lower_row_id(method):
    """All rows are alike: a scorer picks them in order, any other method at least starts at the first."""
    one = signals_for(method, n_rows=1)
    alike = {s: np.repeat(one[s], N_ROWS, axis=0) for s in one}
    signals = Signals(alike, reference=one.reference, n_rows=N_ROWS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*embeddings differ")
        indices = pick(method, signals, 9).indices.tolist()
    assert indices[0] == 0
    # a penalty moves away from the neighbours of a pick, bins are picked from in turn, a fallback draws
    if method.name not in ("graph_density", "dataset_quantization") and not method.config().get("fallback"):
        assert indices == list(range(9))


@pytest.mark.parametrize("method", SCORERS, ids=label)
def test_a_score_is_row_wise_and_orders_the_picks(method):
    signals = signals_for(method)
    score = method.score(signals)
    assert score.dtype == np.float64
    assert score.shape == (N_ROWS,)
    order = np.random.default_rng(1).permutation(N_ROWS)
    np.testing.assert_array_equal(method.score(signals.take(order)), score[order])
    batches = [method.score(signals.take(rows)) for rows in np.array_split(np.arange(N_ROWS), 7)]
    np.testing.assert_array_equal(np.concatenate(batches), score)
    indices, scores = pick(method, signals, 30)
    assert (np.diff(scores) <= 0).all()
    np.testing.assert_array_equal(scores, score[indices])


@every_method
def test_fields_are_the_whole_configuration_and_survive_yaml(method):
    assert dataclasses.is_dataclass(method)
    again = make(**yaml.safe_load(yaml.safe_dump(method.config())))
    assert again == method
    assert hash(again) == hash(method)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.name = "other"


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_a_field_of_a_wrong_kind_is_refused_by_name(method):
    for field in dataclasses.fields(method):
        with pytest.raises(ConfigError, match=f"^{field.name}="):
            make(method.name, **{field.name: object()})


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_the_docstring_says_what_the_method_is(method):
    text = sections(method)
    assert all(text.get(name) for name in SECTIONS)
    assert text[""].splitlines()[0].endswith(".")
    for field in dataclasses.fields(method):
        assert f"{field.name}: " in text["Attributes"]
    for signal in method().needs:
        assert f"``{signal.name}``" in text["Needs"]
