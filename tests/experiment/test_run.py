"""A run goes on behind its last finished stage, and never mixes with another."""

import pytest

from hf_select.errors import StaleStateError
from hf_select.experiment.run import Run


def open_run(folder, config=None, resume=False, overwrite=False):
    return Run.open(folder, config or {"lr": 1e-3}, resume=resume, overwrite=overwrite)


def test_a_finished_stage_is_not_computed_again(tmp_path):
    calls = []
    for _ in range(2):
        result = open_run(tmp_path / "run", resume=True).stage("a/seed-0", lambda: calls.append(1) or {"x": len(calls)})
    assert (calls, result) == ([1], {"x": 1})


def test_a_stage_that_failed_is_computed_again(tmp_path):
    run = open_run(tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        run.stage("a", lambda: 1 / 0)
    assert run.stage("a", lambda: 2) == 2


def test_a_second_run_in_the_same_folder_must_be_asked_for(tmp_path):
    open_run(tmp_path / "run").stage("a", lambda: 1)
    with pytest.raises(StaleStateError, match=r"already holds a run.*--resume.*--overwrite_output_dir"):
        open_run(tmp_path / "run")
    assert open_run(tmp_path / "run", overwrite=True).stage("a", lambda: 2) == 2


def test_a_run_with_other_settings_is_not_resumed(tmp_path):
    open_run(tmp_path / "run").stage("a", lambda: 1)
    with pytest.raises(StaleStateError, match=r"lr: 0.001 then, 0.01 now"):
        open_run(tmp_path / "run", {"lr": 1e-2}, resume=True)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    open_run(tmp_path, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "keep"
