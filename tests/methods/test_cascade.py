"""The cascade: its text, what it keeps by hand, what it asks for, and what it does when rows run out."""

import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

import numpy as np
import pytest
import yaml

from hf_select.budget import Budget
from hf_select.errors import BudgetError, ConfigError, TaskError, UnknownNameError
from hf_select.methods import METHODS, make, make_for
from hf_select.methods.base import Family, Scorer, Task
from hf_select.methods.cascade import Cascade
from hf_select.methods.quality.staff import STAFF
from hf_select.methods.stage import parse_stages
from hf_select.signals.keys import (
    ANSWER_ALONE_NLL,
    EMBEDDING,
    PREDICTED_LOSS,
    RESPONSE_NLL,
    TEXT_LENGTH,
    answer_alone_nll,
    effort,
)
from hf_select.signals.table import Signals

DRAFT, TARGET = effort("last_value_projection", "draft"), effort("last_value_projection", "target")


def pick(method, signals, k, seed=0):
    return method.pick(signals, k, np.random.default_rng(seed))


def want(method, signals, k, seed=0):
    return method.wants(signals, k, np.random.default_rng(seed))


def random_table(n_rows=200, **masks) -> Signals:
    rng = np.random.default_rng(0)
    values = {
        TEXT_LENGTH: rng.permutation(n_rows),
        RESPONSE_NLL: rng.gamma(2, size=n_rows),
        ANSWER_ALONE_NLL: rng.gamma(3, size=n_rows) + 1,
        EMBEDDING: rng.normal(size=(n_rows, 4)).astype(np.float32),
        DRAFT: rng.gamma(2, size=n_rows),
        TARGET: rng.gamma(2, size=n_rows),
    }
    return Signals(values, **masks)


def staged(method, signals, k, seed=0) -> tuple[Signals, list[tuple[set[str], int]]]:
    """Reads as ``select`` does: what is wanted, for the rows it is wanted for; NaN elsewhere."""
    masks = {"candidates": signals.candidates, "labelled": signals.labelled, "n_rows": signals.n_rows}
    told, log = Signals({s: signals[s] for s in method.needs_at_first}, **masks), []
    while asked := want(method, told, k, seed):
        assert not asked.signals & set(told)
        assert (np.diff(asked.rows) > 0).all()
        log.append(({signal.name for signal in asked.signals}, len(asked.rows)))
        for signal in asked.signals:
            values = np.full(signals[signal].shape, np.nan, np.result_type(signals[signal].dtype, np.float32))
            values[asked.rows] = signals[signal][asked.rows]
            told = told.with_values({signal: values})
    return told, log


def test_the_text_of_stages() -> None:
    first, second, third, last = parse_stages(
        "length( prefer = 'short' ):5000 >  ifd(prefix='a > b: \"c\"', max_ifd=None, ratio=loss) : 12.5% > "
        "loss:1.5x >random"
    )
    assert (first.name, first.fields, first.keep) == ("length", {"prefer": "short"}, Budget.rows(5000))
    assert second.fields == {"prefix": 'a > b: "c"', "max_ifd": None, "ratio": "loss"}
    assert second.keep == Budget.fraction("0.125")
    assert second.method_for(Task.CAUSAL_LM) == make("ifd", prefix='a > b: "c"', max_ifd=None, ratio="loss")
    assert third.keep == Fraction(3, 2)
    assert (last.name, last.fields, last.keep) == ("random", {}, None)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("", "'' cannot be read; a stage reads name:keep"),
        ("random:5 >> random", "'' cannot be read"),
        ("random:5 > ", "'' cannot be read"),
        ("core set:5 > random", "'core set:5' cannot be read"),
        ("random:5:6 > random", "'random:5:6' cannot be read"),
        ("core_set(init=1:5 > random", r"'core_set\(init=1:5' cannot be read"),
        ("ifd(prefix='a > b):5 > random", "cannot be read|does not say"),
        ("random > random", "'random' does not say what it keeps; give rows"),
        ("random:20%", "the last stage keeps what the selection is asked for; shorten 'random:20%'"),
        ("random:lots > random", "'lots' is not what a stage keeps; give rows .* a fraction .* or a multiple"),
        ("random: > random", "'' is not what a stage keeps"),
        ("random:0% > random", "'0%' is not what a stage keeps"),
        ("random:2M > random", "'2M' counts tokens"),
        ("random:0.5x > random", "'0.5x' is less than the picks"),
        ("random:20% > core_set:50% > random", "'core_set:50%' keeps no less than 'random:20%'"),
        ("random:3x > core_set:3x > random", "keeps no less than"),
        ("random:300 > core_set:400 > random", "keeps no less than"),
        ("core_set(5):5 > random", r"\(5\) is not \(field=value, ...\) with plain values"),
        ("core_set(init=1+x):5 > random", "is not .field=value"),
        ("core_set(**init):5 > random", "is not .field=value"),
        ("core_set(init=0, init=1):5 > random", "is not .field=value"),
        ("core_set(init=0)(init=1):5 > random", "is not .field=value"),
        ("core_set(init=open('f')):5 > random", "is not .field=value"),
        ("cascade(task=causal_lm):5 > random", "sets task, which is a field of the cascade"),
        (
            "core_set(int=5):5 > random",
            r"'core_set\(int=5\):5': Unknown field of method 'core_set' 'int'. Did you mean",
        ),
        ("core_set(init=-5):5 > random", r"'core_set\(init=-5\):5': init=-5 is not a whole number"),
        ("cascade(stages='random:1x'):5 > random", "cascade.*: stages='random:1x': the last stage"),
    ],
)
def test_text_that_cannot_be_read_is_refused_with_the_reason(stages, message) -> None:
    with pytest.raises(ConfigError, match=f"(?s)^stages=.*({message})"):
        Cascade(stages)


def test_an_unknown_method_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownNameError, match=r"stages='los:5 > random': 'los:5': Unknown method 'los'\. Did you"):
        Cascade("los:5 > random")


def test_stages_by_hand() -> None:
    signals = Signals({TEXT_LENGTH: np.arange(10), RESPONSE_NLL: np.array([9, 9, 9, 9, 1, 5, 5, 2, 8, 0.5])})
    picks = pick(Cascade("length:60% > loss"), signals, 3)  # the longest six are rows 4 to 9
    assert picks.indices.tolist() == [8, 5, 6]
    assert picks.scores.tolist() == [8, 5, 5]
    assert pick(Cascade("length:2x > loss"), signals, 2).indices.tolist() == [8, 6]
    assert pick(Cascade("length:9 > loss:4 > length(prefer=short)"), signals, 2).indices.tolist() == [1, 2]
    assert pick(Cascade("length:100x > loss"), signals, 2).indices.tolist() == [0, 1]
    assert pick(Cascade("length:1.5x > loss"), signals, 3).indices.tolist() == [8, 6, 7]  # 4 rows, not 4.5


def test_a_fraction_is_of_the_candidates_also_in_later_stages() -> None:
    allowed = np.arange(200) % 2 == 0
    cascade = Cascade("length:50% > loss:20% > length(prefer=short)")
    told, log = staged(cascade, random_table(candidates=allowed), 5)
    assert log == [({"response_nll"}, 50)]
    length, loss = random_table()[TEXT_LENGTH], random_table()[RESPONSE_NLL]
    longest = sorted(np.flatnonzero(allowed), key=lambda row: -length[row])[:50]
    hardest = sorted(longest, key=lambda row: -loss[row])[:20]
    assert pick(cascade, told, 5).indices.tolist() == sorted(hardest, key=lambda row: length[row])[:5]


@pytest.mark.parametrize("name", ["random", "core_set", "k_means", "loss", "ifd", "staff"])
def test_a_single_stage_is_the_method_itself(name) -> None:
    alone, cascade = make(name), Cascade(name)
    assert (cascade.needs, cascade.needs_at_first) == (alone.needs, alone.needs_at_first)
    expected, found = pick(alone, random_table(), 20, seed=4), pick(cascade, random_table(), 20, seed=4)
    assert found.indices.tolist() == expected.indices.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


def test_needs_are_those_of_all_stages_and_at_first_those_of_the_first() -> None:
    cascade = Cascade("staff:50% > loss:20% > less")
    assert cascade.needs == make("staff").needs | make("loss").needs | make("less").needs
    assert cascade.needs_at_first == {DRAFT}
    assert cascade.needs_reference
    assert not Cascade("random:5x > loss").needs_reference
    assert Cascade().needs_at_first == {TEXT_LENGTH}


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ("length:50% > loss", [({"response_nll"}, 100)]),
        ("length:50% > loss:20% > core_set", [({"response_nll"}, 100), ({"embedding"}, 40)]),
        ("random:4x > length:2x > loss", [({"text_length"}, 40), ({"response_nll"}, 20)]),
        ("loss:5x > ifd", [({"answer_alone_nll"}, 50)]),
        ("length:50% > length(prefer=short)", []),
        ("staff(n_strata=2, n_verified=6):5x > loss", [({TARGET.name}, 12), ({"response_nll"}, 50)]),
        ("loss:50% > staff(n_strata=2, n_verified=6)", [({DRAFT.name}, 100), ({TARGET.name}, 12)]),
        ("cascade(stages='loss:90 > staff(n_strata=1):80 > length'):70 > core_set",
         [({DRAFT.name}, 90), ({TARGET.name}, 10), ({"text_length"}, 80), ({"embedding"}, 70)]),
        ("cascade(stages='random:60 > staff'):40 > loss", [({DRAFT.name}, 60), ({"response_nll"}, 40)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1])
def test_only_the_rows_that_are_left_are_asked_for_and_only_those_count(stages, expected, seed) -> None:
    cascade, signals = Cascade(stages), random_table()
    told, log = staged(cascade, signals, 10, seed)
    assert log == expected
    unread = {signal: np.full(200, np.nan) for signal in cascade.needs if signal not in told}
    found, whole = pick(cascade, told.with_values(unread), 10, seed), pick(cascade, signals, 10, seed)
    assert found.indices.tolist() == whole.indices.tolist()
    assert found.scores.tolist() == whole.scores.tolist()


def test_labelled_rows_are_read_too_and_never_picked() -> None:
    labelled = np.zeros(200, dtype=bool)
    labelled[:30] = True
    signals = random_table(labelled=labelled)
    asked = want(Cascade("length:20% > core_set"), Signals({TEXT_LENGTH: signals[TEXT_LENGTH]}, labelled=labelled), 5)
    assert len(asked.rows) == 30 + 40
    assert set(range(30)) <= set(asked.rows.tolist())
    told, _ = staged(Cascade("length:20% > core_set"), signals, 5)
    without, _ = staged(Cascade("length:20% > core_set"), random_table(candidates=~labelled), 5)
    picks = pick(Cascade("length:20% > core_set"), told, 5).indices.tolist()
    assert min(picks) >= 30
    assert picks != pick(Cascade("length:40 > core_set"), without, 5).indices.tolist()  # core_set starts from them


def test_a_stage_that_keeps_too_few_is_refused() -> None:
    with pytest.raises(BudgetError, match="The stage 'length:10%' keeps 20 of 200 rows and the cascade is to pick 21"):
        pick(Cascade("length:10% > loss"), random_table(), 21)
    with pytest.raises(BudgetError, match="The stage 'length:10%' keeps 20"):
        want(Cascade("length:10% > loss"), Signals({TEXT_LENGTH: np.arange(200)}), 21)
    with pytest.raises(BudgetError, match="above the pool of 200 rows"):
        pick(Cascade("length:201 > loss"), random_table(), 2)
    assert len(pick(Cascade("length:10% > loss"), random_table(), 20).indices) == 20


def test_what_is_asked_for_beyond_the_eligible_rows_does_not_count() -> None:
    length = np.where(np.arange(200) < 55, np.arange(200.0), np.nan)
    cascade = Cascade("length:60 > loss")
    assert want(cascade, Signals({TEXT_LENGTH: length}), 100).rows.tolist() == list(range(55))
    with pytest.warns(UserWarning, match="cascade: 100 rows were asked for and only 55 are eligible"):
        picks = pick(cascade, random_table().with_values({TEXT_LENGTH: length}), 100)
    assert sorted(picks.indices.tolist()) == list(range(55))


def test_where_a_stage_excludes_too_many_the_picks_go_on_with_the_stage_before() -> None:
    signals = Signals({
        TEXT_LENGTH: np.arange(10),
        RESPONSE_NLL: np.array([1.0, 1, 1, 1, 1, 3, 1, 1, 3, 4]),
        ANSWER_ALONE_NLL: np.array([2.0, 2, 2, 2, 2, 2, 2, np.nan, 2, 2]),
    })  # fmt: skip
    with pytest.warns(UserWarning, match="the stage 'ifd' can pick only 1 of 3 rows; the other 2 are the best rows of"):
        picks = pick(Cascade("length:50% > ifd"), signals, 3)  # of rows 9 to 5, IFD keeps row 6 alone
    assert picks.indices.tolist() == [6, 9, 8]
    assert picks.scores.tolist() == [-1, 9, 8]
    with pytest.warns(UserWarning, match="can pick only 0 of 3 rows"):
        picks = pick(Cascade("length:3 > ifd"), signals, 3)
    assert picks.indices.tolist() == [9, 8, 7]


def test_a_stage_without_any_row_asks_for_nothing_more() -> None:
    signals = Signals({TEXT_LENGTH: np.arange(10.0), RESPONSE_NLL: np.full(10, np.nan)})
    cascade = Cascade("length:5 > loss:4 > core_set")
    assert want(cascade, signals, 3) is None
    with pytest.warns(UserWarning, match="the stage 'core_set' can pick only 0 of 3 rows"):
        picks = pick(cascade, signals.with_values({EMBEDDING: np.full((10, 2), np.nan)}), 3)
    assert picks.indices.tolist() == [9, 8, 7]
    nobody = Signals({TEXT_LENGTH: np.full(10, np.nan)})
    assert want(cascade, nobody, 3) is None


def test_stages_warn_once_and_not_while_rows_are_looked_for() -> None:
    alike = Signals({TEXT_LENGTH: np.arange(200), RESPONSE_NLL: np.ones(200), ANSWER_ALONE_NLL: np.full(200, 2.0)})
    cascade = Cascade("length:150 > ifd:120 > core_set")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert want(cascade, alike, 5).signals == {EMBEDDING}
    with pytest.warns(UserWarning, match="No row of 200 has an IFD of 1") as said:
        pick(cascade, alike.with_values({EMBEDDING: np.eye(200, 8, dtype=np.float32)}), 5)
    assert len(said) == 1


@dataclass(frozen=True)
class ByTask(Scorer):
    """Reads one signal of language models and another of classifiers."""

    name = "by_task"
    family = Family.QUALITY
    citation: ClassVar[str] = ""
    task: Literal["causal_lm", "classification"] = "causal_lm"

    @property
    def needs(self):
        return frozenset({RESPONSE_NLL if self.task == "causal_lm" else PREDICTED_LOSS})

    def score(self, signals):
        [signal] = self.needs
        return np.asarray(signals[signal], dtype=np.float64)


def test_the_kind_of_model_is_handed_on(monkeypatch) -> None:
    monkeypatch.setitem(METHODS, "by_task", ByTask)
    assert Cascade("by_task:5x > random").needs == {RESPONSE_NLL}
    assert Cascade("by_task:5x > random", task="classification").needs == {PREDICTED_LOSS}
    assert make_for("cascade", Task.CLASSIFICATION, stages="by_task:5x > random").needs == {PREDICTED_LOSS}
    assert make_for("cascade", Task.CLASSIFICATION).task == "classification"
    nested = Cascade("cascade(stages='by_task:50% > random'):5x > random", task="classification")
    assert nested.needs == {PREDICTED_LOSS}


def test_a_stage_that_is_not_sound_for_the_kind_of_model_is_refused() -> None:
    text = "random:10000 > learning_loss"
    assert make_for("cascade", Task.CLASSIFICATION, stages=text).needs == {PREDICTED_LOSS}
    with pytest.raises(TaskError, match="'learning_loss' does not serve causal_lm models"):
        _ = make_for("cascade", Task.CAUSAL_LM, stages=text).needs


def test_it_survives_yaml_and_is_its_fields() -> None:
    cascade = Cascade("ifd(prefix='### > : x', max_ifd=0.9):20% > k_means(max_clusters=50)")
    again = make(**yaml.safe_load(yaml.safe_dump(cascade.config())))
    assert again == cascade
    assert hash(again) == hash(cascade)
    assert again.needs == cascade.needs == {RESPONSE_NLL, answer_alone_nll("### > : x"), EMBEDDING}
    assert cascade.config().keys() == {"name", "stages", "task"}
    assert again == cascade  # what it has worked out since is no part of it


def test_the_default_can_be_made_for_both_kinds_of_model() -> None:
    assert make("cascade") == Cascade()
    assert {make_for("cascade", task).needs for task in Task} == {Cascade().needs}
    with pytest.raises(ConfigError, match=r"^stages="):
        Cascade(stages=5)
    with pytest.raises(ConfigError, match=r"^task="):
        Cascade(task="seq2seq")
    assert isinstance(Cascade("staff:5x > loss").steps[0][1], STAFF)
