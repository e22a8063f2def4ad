"""A process of a launch knows of the others, or says how to launch."""

import pytest
import torch

from hf_select.errors import ConfigError
from hf_select.experiment.arguments import parse_arguments
from hf_select.experiment.launch import prepare_process
from tests.experiment.test_arguments import DEMO_CONFIG


def arguments(*words):
    return parse_arguments(list(words), description="", default_config=DEMO_CONFIG)


def test_processes_that_do_not_know_of_each_other_are_refused(monkeypatch):
    alone = arguments()
    _ = alone.training.device  # the process group is settled here
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(ConfigError, match=r"2 processes were launched, but 1 work together.*ACCELERATE_USE_CPU=true"),
        prepare_process(alone),
    ):
        pytest.fail("the recipe began")


def test_threads_are_as_many_as_asked_for():
    before = torch.get_num_threads()
    try:
        with prepare_process(arguments("--num_threads", "1")):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
