"""The output folder: filled in one go, or left as it was."""

import pytest

from hf_select.cli import output as output_module
from hf_select.cli.output import Output
from hf_select.errors import ConfigError


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fill(output, *files):
    """Write files that hold their own names; one named ``interrupt`` ends the process's work."""
    with output.filled(last="selection.json") as folder:
        for file in files:
            if file == "interrupt":
                raise KeyboardInterrupt
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(file)


def test_a_new_folder_is_filled(tmp_path):
    output = Output(tmp_path / "a" / "b")
    output.check()
    fill(output, "selection.json", "plots/map.png")
    assert names(tmp_path / "a" / "b") == ["plots", "plots/map.png", "selection.json"]


def test_a_failure_leaves_the_folder_as_it_was(tmp_path):
    output = Output(tmp_path, overwrite=True)
    fill(output, "selection.json", "report.md")
    (tmp_path / "selection.json").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        fill(output, "selection.json", "interrupt")
    assert names(tmp_path) == ["report.md", "selection.json"]
    assert (tmp_path / "selection.json").read_text() == "before"


def test_the_remains_of_a_killed_run_are_no_content(tmp_path):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / "report.md").write_text("torn")
    output = Output(tmp_path)
    output.check()
    fill(output, "selection.json")
    assert names(tmp_path) == ["selection.json"]


NEW = ["plots", "plots/new.png", "report.md", "selection.json"]
OLD = ["overlap.png", "selection.json"]


@pytest.mark.parametrize(
    ("point", "left", "there"),
    [
        ("output.staged:1", OLD, OLD),
        ("output.whole:1", [".whole.selection.json", *OLD], NEW),
        ("output.moving:1", [".moving.selection.json"], NEW),
        ("output.moving:3", [".moving.selection.json", "plots", "report.md"], NEW),
    ],
)
def test_the_next_command_ends_what_a_killed_one_was_moving(tmp_path, monkeypatch, point, left, there):
    """Before its own work, and whether or not it may overwrite."""
    fill(Output(tmp_path), *OLD)
    (tmp_path / "selection.json").write_text("before")
    name, _, n = point.partition(":")
    passed = []

    def killed(at):
        passed.append(at)
        if passed.count(name) == int(n):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(output_module, "crash_point", killed)
        with pytest.raises(KeyboardInterrupt):
            fill(Output(tmp_path, overwrite=True), "selection.json", "report.md", "plots/new.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    with pytest.raises(ConfigError, match="is not empty"):
        Output(tmp_path).check()
    assert names(tmp_path) == there
    assert (tmp_path / "selection.json").read_text() == ("before" if there is OLD else "selection.json")
    output = Output(tmp_path, overwrite=True)
    output.check()
    fill(output, "selection.json")
    assert names(tmp_path) == ["selection.json"]


def test_overwriting_takes_away_what_other_commands_wrote_and_nothing_else(tmp_path):
    fill(Output(tmp_path), "selection.json", "plots/map.png", "subset.jsonl")
    (tmp_path / "mine.txt").write_text("mine")
    output = Output(tmp_path, overwrite=True)
    output.check()
    with output.filled(last="compare.json") as folder:
        (folder / "compare.json").write_text("{}")
    assert names(tmp_path) == ["compare.json", "mine.txt"]


def test_folders_that_cannot_be_filled(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        Output(tmp_path / "file").check()
    with pytest.raises(ConfigError, match=r"is not empty \(it holds file\)"):
        Output(tmp_path).check()
    with pytest.raises(ConfigError, match="cannot be written"):
        Output(tmp_path / "file" / "below").check()
