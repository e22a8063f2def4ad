"""Signals of a seed: each read once for all methods, a failure charged to its own methods, costs as if run alone."""

import pytest

from hf_select.errors import ConfigError
from hf_select.experiment.run import Run
from hf_select.grid.base import BaseModel
from hf_select.grid.choice import choose, training_rows
from hf_select.grid.data import load_data
from hf_select.grid.plan import make_plan
from hf_select.grid.preparation import DRAFT_MODEL, LANGUAGE_MODEL, LOSS_HEAD, WARM_UP, Preparation, prepared_by
from hf_select.grid.seed_signals import SeedSignals
from hf_select.grid.setting import GridSetting, make_split
from hf_select.methods import make_for
from hf_select.signals import keys
from hf_select.signals.keys import ROW_TEXT, Pass, Task
from hf_select.signals.passes import PASSES
from tests.grid.conftest import parse

METHODS = "bm25,zip,length"


@pytest.fixture
def preparation(rows_file, tmp_path):
    from transformers import AutoTokenizer

    def make(*words, encoder=None):
        arguments = parse("--dataset_name", str(rows_file), "--seed_fraction", "0.1", *words)
        data = load_data(arguments)
        run = Run.open(tmp_path / "run", {}, resume=False, overwrite=True)
        tokenizer = AutoTokenizer.from_pretrained(encoder) if encoder else _tokenizer(data)
        base = BaseModel(arguments, str(encoder), tokenizer, data.n_labels)
        setting = GridSetting(run, arguments, 0, data, base, make_split(arguments, data, 0))
        return Preparation(setting, make_plan(arguments).methods)

    return make


def _tokenizer(data):
    from hf_select.demo.encoder import train_encoder_tokenizer

    return train_encoder_tokenizer(data.texts)


@pytest.fixture
def counted(monkeypatch):
    """What the text pass is asked for, run by run."""
    asked = []
    run = PASSES[Pass.TEXT]
    monkeypatch.setitem(
        PASSES, Pass.TEXT, lambda wanted, source: asked.append({s.name for s in wanted}) or run(wanted, source)
    )
    return asked


def test_three_methods_cost_one_pass_over_the_pool_and_one_over_the_reference(preparation, counted):
    signals = SeedSignals.read(preparation("--methods", METHODS))
    assert counted == [{"row_text", "text_length"}, {"row_text"}]
    assert {"signal_row_text", "signal_text_length"} <= set(signals.pool.column_names)
    assert "signal_row_text" in signals.validation.column_names
    assert signals.pool["signal_row_text"][:] == signals.pool["code"][:]


def test_picks_come_from_the_columns_and_leave_the_labelled_rows(preparation, counted):
    signals = SeedSignals.read(preparation("--methods", METHODS))
    setting = signals.preparation.setting
    n_reads = len(counted)
    for method in signals.preparation.methods:
        [budget] = make_plan(setting.arguments).budgets[:1]
        selection, seconds = choose(signals, method, budget)
        assert len(selection) == budget.n_rows(len(setting.pool)) > 0
        assert not set(selection.indices) & set(setting.labelled)
        rows = training_rows(setting, selection)
        assert set(rows) == set(selection.indices) | set(setting.labelled)
        assert seconds > 0
    assert len(counted) == n_reads
    assert len(training_rows(setting, None)) == len(setting.pool)


def test_a_method_that_is_added_later_reads_what_is_missing(preparation, counted):
    made = preparation("--methods", "zip")
    first = SeedSignals.read(made)
    assert "signal_row_text" not in first.validation.column_names
    n_reads = len(counted)
    SeedSignals.read(Preparation(made.setting, made.methods))
    assert len(counted) == n_reads
    more = SeedSignals.read(Preparation(made.setting, (*made.methods, make_for("bm25", Task.CLASSIFICATION))))
    assert "signal_row_text" in more.validation.column_names


def test_a_signal_that_cannot_be_read_costs_its_own_methods(preparation, monkeypatch):
    run = PASSES[Pass.TEXT]

    def fail(wanted, source):
        if ROW_TEXT in wanted:
            raise ConfigError("no text today")
        return run(wanted, source)

    monkeypatch.setitem(PASSES, Pass.TEXT, fail)
    signals = SeedSignals.read(preparation("--methods", METHODS))
    failures = {method.name: signals.failure(method) for method in signals.preparation.methods}
    assert failures["bm25"] == failures["zip"] == "ConfigError: no text today"
    assert failures["random"] is failures["length"] is None
    bm25 = next(method for method in signals.preparation.methods if method.name == "bm25")
    with pytest.raises(ConfigError, match="no text today"):
        choose(signals, bm25, make_plan(signals.preparation.setting.arguments).budgets[0])


def test_a_method_is_charged_with_its_passes_and_trainings_and_no_others(preparation):
    signals = SeedSignals.read(preparation("--methods", "bm25,length"))
    signals.runs = [(frozenset({"row_text", "text_length"}), 3.0), (frozenset({"class_probabilities"}), 5.0)]
    signals.preparation.seconds.update({WARM_UP: 7.0, DRAFT_MODEL: 11.0, LANGUAGE_MODEL: 13.0, LOSS_HEAD: 17.0})
    costs = {
        name: signals.cost(make_for(name, Task.CLASSIFICATION))
        for name in ("random", "bm25", "entropy", "staff", "uq_icl", "learning_loss")
    }
    assert costs == {
        "random": 0.0,
        "bm25": 3.0,
        "entropy": 12.0,
        "staff": 18.0,  # the draft reads all rows, the warmed-up model some
        "uq_icl": 13.0,
        "learning_loss": 17.0,
    }


def test_what_a_signal_needs_to_be_trained_first(preparation):
    setting = preparation("--methods", "random").setting
    assert prepared_by(keys.ROW_TEXT, setting) is None
    assert prepared_by(keys.EMBEDDING, setting) == WARM_UP
    assert prepared_by(keys.EMBEDDING, preparation("--embedder", "tfidf").setting) is None
    assert prepared_by(keys.PREDICTED_LOSS, setting) == LOSS_HEAD
    assert prepared_by(keys.effort("loss", "draft"), setting) == DRAFT_MODEL
    assert prepared_by(keys.effort("loss", "target"), setting) == WARM_UP
    assert prepared_by(keys.demonstrated_probabilities(2, 2), setting) == LANGUAGE_MODEL


def test_companions_are_there_for_the_signals_that_read_them(preparation, encoder):
    words = ("--methods", "less,staff,learning_loss", "--warm_up_epochs", "2", "--learning_rate", "1e-3")
    made = preparation(*words, "--n_checkpoints", "2", "--max_length", "64", encoder=encoder)
    less, staff = (make_for(name, Task.CLASSIFICATION) for name in ("less", "staff"))
    models = made.models(less.needs)
    assert [folder.name for folder in models.companions.checkpoints] == ["checkpoint-1", "checkpoint-2"]
    assert models.companions.draft_model is None
    models = made.models(staff.needs)
    assert models.companions.checkpoints == ()
    assert models.draft.model.config.hidden_size == 8
    judge = made.models([keys.PREDICTED_LOSS])
    assert judge.companions.loss_head.width == 16
    assert judge.model is not models.model
    assert set(made.seconds) == {WARM_UP, DRAFT_MODEL, LOSS_HEAD}
    assert not models.model.training
