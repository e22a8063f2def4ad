"""The command line over the file, and every config of the recipes."""

from pathlib import Path

import pytest
import yaml

from hf_select.errors import ConfigError, UnknownNameError
from hf_select.experiment.arguments import parse_arguments
from hf_select.experiment.arm import parse_arms

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
DEMO_CONFIG = RECIPES / "configs" / "codeact_demo.yaml"


def parse(*words):
    return parse_arguments(list(words), description="", default_config=DEMO_CONFIG)


def test_nothing_given_is_the_demo():
    arguments = parse()
    assert (arguments.data.dataset_name, arguments.training.learning_rate) == ("demo", 3e-3)


def test_a_dataset_of_one_s_own_leaves_the_demo_s_settings_out():
    arguments = parse("--dataset_name", "x/y")
    assert (arguments.data.dataset_name, arguments.training.learning_rate) == ("x/y", 5e-5)


def test_the_command_line_wins_over_the_file(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("learning_rate: 1.0e-4\nmax_length: 77\nactivation_checkpointing: true\n")
    arguments = parse("--config", str(config), "--learning_rate", "2e-4")
    assert arguments.training.learning_rate == 2e-4
    assert arguments.data.max_length == 77
    assert arguments.training.activation_checkpointing is True


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--learning_rat", "1"], UnknownNameError, "Did you mean 'learning_rate'"),
        (["--config", "absent.yaml"], ConfigError, "no such file"),
        (["--config"], ConfigError, "needs the path"),
    ],
)
def test_bad_words_are_refused(words, error, message):
    with pytest.raises(error, match=message):
        parse(*words)


def test_unknown_keys_of_a_file_are_errors(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("max_lenght: 77\n")
    with pytest.raises(UnknownNameError, match=r"argument in c\.yaml 'max_lenght'. Did you mean 'max_length'"):
        parse("--config", str(config))


def test_seeds_are_whole_numbers():
    assert parse("--seeds", "2, 0,2").seeds == [2, 0]
    with pytest.raises(ConfigError, match="seeds='a'"):
        _ = parse("--seeds", "a").seeds


def test_every_config_of_the_recipes_parses():
    configs = sorted((RECIPES / "configs").glob("codeact_*.yaml"))
    assert len(configs) >= 4
    for config in configs:
        words = ["--config", str(config)]
        if yaml.safe_load(config.read_text()).get("bf16"):
            words += ["--bf16", "false", "--tf32", "false"]  # refused on a machine without a GPU
        arguments = parse(*words)
        assert parse_arms(arguments.selection.arms, arguments.selection.budgets)


def test_the_published_setting_is_what_the_configs_say():
    content = yaml.safe_load((RECIPES / "configs" / "codeact_deepseek_coder_6.7b.yaml").read_text())
    global_batch = 8 * content["per_device_train_batch_size"] * content["gradient_accumulation_steps"]
    assert global_batch == 512
    assert (content["learning_rate"], content["warmup_steps"], content["num_train_epochs"]) == (5e-5, 15, 3)
    assert (content["lr_scheduler_type"], content["max_length"]) == ("cosine", 4096)


def test_every_accelerate_config_loads():
    from accelerate.commands.config.config_args import load_config_from_file

    configs = sorted((RECIPES / "accelerate").glob("*.yaml"))
    assert [config.stem for config in configs] == ["cpu", "ddp", "fsdp2", "one_gpu"]
    for config in configs:
        loaded = load_config_from_file(str(config))
        assert loaded.num_machines == 1
