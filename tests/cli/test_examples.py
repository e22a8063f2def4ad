"""The examples of every ``--help`` run as they stand, and ``--json`` gives JSON and nothing else."""

import json
import re
import shutil
from pathlib import Path

import pytest

from hf_select.cli import main
from hf_select.cli.command import build
from hf_select.cli.ending import STATUSES
from tests.docs.block import Block
from tests.docs.reader import write_models, write_rows
from tests.docs.shell import run_in_bash, run_line
from tests.hub.conftest import OF_THE_CLIENT, hub

pytestmark = [OF_THE_CLIENT, pytest.mark.filterwarnings("ignore:.*strata.*")]
__all__ = ["hub"]
N_EXAMPLES = {"": 6, "methods": 4, "select": 4, "compare": 2, "push": 3, "completion": 7}
PROGRAMS = ("hf-select ", "accelerate launch ", "source ", "mkdir ")


def examples(command: str) -> Block:
    """The example lines of a help text."""
    parser, commands = build()
    epilog = (commands[command] if command else parser).epilog.replace("\\\n", " ").replace("%%", "%")
    lines = [line.strip() for line in epilog.splitlines()]
    return Block("sh", "\n".join(line for line in lines if line.startswith(PROGRAMS)) + "\n", "")


@pytest.fixture(scope="module")
def furniture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("furniture")
    write_models(folder, write_rows(folder))
    return folder


@pytest.fixture
def here(furniture, tmp_path, monkeypatch):
    """A folder with the files and models that the examples name."""
    shutil.copytree(furniture, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    return tmp_path


def test_every_command_has_examples():
    _, commands = build()
    assert sorted(N_EXAMPLES) == sorted(["", *commands])
    assert {name: len(examples(name).commands) for name in N_EXAMPLES} == N_EXAMPLES


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=pytest.mark.slow if name in ("", "compare") else ()) for name in N_EXAMPLES]
)
def test_the_examples_of_a_command_run(command, here, hub, capsys):
    told = examples(command)
    if told.needs_a_shell:
        run_in_bash(told.text, here)
        assert len(list(here.glob(".*/**/*hf-select*"))) == 3
        return
    for words in told.commands:
        run_line(words)
        out = capsys.readouterr().out
        assert out.strip()
        if "--json" in words:
            json.loads(out)


JSON = {
    "methods": ["methods", "--family", "quality"],
    "select": ["select", "--dataset_name", "rows.jsonl", "--method", "length", "--budget", "5", "--output_dir", "kept"],
    "compare": [
        *("compare", "--dataset_name", "rows.jsonl", "--methods", "length,random", "--budgets", "5"),
        *("--output_dir", "compared"),
    ],
    "push": [
        *("push", "kept", "--dataset_name", "rows.jsonl", "--repo_id", "me/rows", "--config_name", "five", "--dry_run")
    ],
}  # fmt: skip


def test_every_command_with_a_result_tells_it_as_json(here, hub, capfd):
    _, commands = build()
    assert list(JSON) == [name for name, parser in commands.items() if "--json" in parser._option_string_actions]
    assert set(commands) - set(JSON) == {"completion"}  # whose result is a script
    for words in JSON.values():
        assert main([*words, "--json"]) == 0
        found = json.loads(capfd.readouterr().out)  # of the whole process, not of sys.stdout alone
        assert found


def test_the_exit_statuses_are_told_in_the_help_and_on_the_page(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert STATUSES in told
    page = (Path(__file__).resolve().parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")
    of_help = re.findall(r"^  (\d+) ", STATUSES, re.MULTILINE)
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == of_help == ["0", "1", "2", "130", "141", "143"]
