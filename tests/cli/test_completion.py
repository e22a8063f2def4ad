"""``hf-select completion``: the script completes words in a real bash; those of zsh and fish are complete."""

import re
import shlex
import shutil
import subprocess

import pytest

from hf_select.cli import main
from hf_select.cli.command import build
from hf_select.gates import GATES
from hf_select.methods import METHODS

COMMANDS = ["methods", "select", "compare", "push", "completion"]


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script for bash in a file."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["completion", "bash"]) == 0
    path = tmp_path_factory.mktemp("completion") / "hf-select"
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


@pytest.fixture
def completed(script, tmp_path):
    """What TAB gives behind the words of a command line in a real bash; the last word is being typed."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "results").mkdir()

    def complete(line):
        words = shlex.split(line) + ([""] if line.endswith(" ") else [])
        code = (
            f"source {shlex.quote(str(script))}\n"
            f"COMP_WORDS=({' '.join(map(shlex.quote, words))})\nCOMP_CWORD={len(words) - 1}\n"
            "function=$(complete -p hf-select | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
            'compopt() { :; }\n$function\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60
        )
        assert done.stderr == ""
        return done.stdout.split()

    return complete


def test_bash_completes_commands_methods_and_arguments(completed):
    assert completed("hf-select ") == COMMANDS
    assert completed("hf-select com") == ["compare", "completion"]
    assert completed("hf-select select --method ") == sorted(METHODS)
    assert completed("hf-select select --budget 40% --method c") == sorted(m for m in METHODS if m.startswith("c"))
    assert completed("hf-select compare --methods if") == ["ifd"]
    assert completed("hf-select methods zi") == ["zip"]
    assert completed("hf-select methods --family q") == ["quality"]
    assert completed("hf-select select --method ifd --max_") == ["--max_rows", "--max_length", "--max_tokens_per_batch",
                                                                 "--max_new_tokens"]  # fmt: skip
    assert completed("hf-select push kept --no_") == ["--no_plots", "--no_row_check"]
    assert completed("hf-select select --gates ") == sorted(GATES)
    assert completed("hf-select select --dtype bf") == ["bfloat16"]
    assert completed("hf-select completion ") == ["bash", "zsh", "fish"]


def test_bash_completes_files_and_folders(completed):
    assert completed("hf-select select --dataset_name ro") == ["rows.jsonl"]
    assert set(completed("hf-select select --dataset_name r")) == {"rows.jsonl", "results"}
    assert completed("hf-select select --output_dir r") == ["results"]
    assert completed("hf-select push r") == ["results"]


def test_every_argument_of_every_command_is_completed(completed):
    _, commands = build()
    assert list(commands) == COMMANDS
    for name, parser in commands.items():
        known = [option for action in parser._actions for option in action.option_strings]
        assert completed(f"hf-select {name} {'kept ' if name == 'push' else ''}-") == known


@pytest.mark.parametrize(("shell", "starts"), [("zsh", "#compdef hf-select"), ("fish", "# AUTOMATICALLY GENERATED")])
def test_the_scripts_of_other_shells_have_every_command_method_and_argument(shell, starts, run):
    status, out, err = run("completion", shell)
    assert (status, err) == (0, "")
    assert out.startswith(starts)
    _, commands = build()
    options = {word for parser in commands.values() for action in parser._actions for word in action.option_strings}
    long = {word.removeprefix("--") for word in options if word.startswith("--")}
    assert len(long) > 40
    for word in (*COMMANDS, *METHODS, *long):
        assert re.search(rf"\b{re.escape(word)}\b", out), word
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=out, text=True, check=True, timeout=60)


def test_a_shell_that_there_is_not(run):
    status, out, err = run("completion", "tcsh")
    assert (status, out) == (2, "")
    assert "invalid choice: 'tcsh'" in err


def test_parsing_is_not_narrowed_by_what_is_completed(run):
    run("completion", "bash")
    _, commands = build()
    assert commands["compare"]._option_string_actions["--methods"].choices is None
