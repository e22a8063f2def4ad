"""The command line over the file, and what a run folder remembers."""

from pathlib import Path

import pytest

from hf_select.errors import ConfigError, UnknownNameError
from hf_select.grid.plan import make_plan
from hf_select.signals.keys import Task
from tests.grid.conftest import parse

CONFIGS = Path(__file__).resolve().parents[2] / "recipes" / "configs"


def test_nothing_given_is_the_demo():
    arguments = parse()
    assert arguments.is_demo
    assert arguments.task is Task.CLASSIFICATION
    assert len(make_plan(arguments).methods) == 20


def test_a_dataset_of_one_s_own_gets_the_paper_s_training():
    arguments = parse("--dataset_name", "rows.jsonl")
    training = arguments.training
    assert (training.learning_rate, training.per_device_train_batch_size, training.num_train_epochs) == (5e-5, 32, 10)
    assert training.lr_scheduler_type == "constant"
    assert (arguments.selection.budgets, arguments.seeds) == ("1%,3%,5%,10%", [0, 1, 2])
    assert arguments.selection.seed_fraction == 0.03


def test_the_command_line_wins_over_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("learning_rate: 1.0e-4\nseed_fraction: 0.07\nfull_arm: false\n")
    arguments = parse("--config", str(path), "--learning_rate", "2e-4")
    assert (arguments.training.learning_rate, arguments.selection.seed_fraction) == (2e-4, 0.07)
    assert not arguments.selection.full_arm
    assert parse("--no_full_arm").selection.full_arm is False


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("--budget", "1%"), UnknownNameError, "Did you mean 'budgets'"),
        (("--config", "absent.yaml"), ConfigError, "no such file"),
        (("--config",), ConfigError, "needs the path"),
    ],
)
def test_bad_words_are_refused(words, error, message):
    with pytest.raises(error, match=message):
        parse(*words)


def test_methods_budgets_and_seeds_can_be_added_to_a_run_and_settings_cannot_change():
    settings = parse().settings()
    more = parse("--methods", "entropy", "--budgets", "20%", "--seeds", "4", "--no_full_arm", "--num_threads", "1")
    assert more.settings() == settings
    for words in (
        ("--seed_fraction", "0.2"),
        ("--learning_rate", "1"),
        ("--test_fraction", "0.3"),
        ("--max_rows", "9"),
    ):
        assert parse(*words).settings() != settings, words


def test_every_config_of_the_recipe_parses_and_names_methods():
    configs = sorted(CONFIGS.glob("dsbox_*.yaml"))
    assert len(configs) >= 3
    for config in configs:
        arguments = parse("--config", str(config), "--bf16", "false")
        assert make_plan(arguments).methods
        assert arguments.seeds


def test_the_paper_s_setting_is_what_its_config_says():
    arguments = parse("--config", str(CONFIGS / "dsbox_devign.yaml"))
    plan = make_plan(arguments)
    assert arguments.model.model_name_or_path == "microsoft/codebert-base"
    assert {method.name for method in plan.methods} | set(plan.left_out) >= {"random", "less", "staff", "zip"}
    assert len(plan.budgets) == 4
    assert (arguments.training.learning_rate, arguments.training.num_train_epochs) == (5e-5, 10)
    assert arguments.data.join_words
