"""The program as a whole: help, start-up, exit status, an interrupted run that goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_select import __version__
from hf_select.cli import main
from hf_select.selection import Selection

ROOT = Path(__file__).resolve().parents[2]


def program(*words, **settings):
    """Run the real command in a process of its own."""
    command = [sys.executable, "-m", "hf_select.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, **settings)


@pytest.mark.parametrize("command", ["", "methods", "select", "compare", "push", "completion"])
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    examples = capsys.readouterr().out.partition("\nexamples:\n")[2]
    assert f"hf-select {command}".rstrip() in examples


def test_help_groups_the_arguments_and_tells_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["select", "--help"])
    text = capsys.readouterr().out
    for group in ("selection:", "rows:", "models:", "reading:", "output:"):
        assert f"\n{group}\n" in text
    assert "(default: train)" in text
    assert "(default: 0)" in text
    assert "None" not in text


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f"hf-select {__version__}"


@pytest.mark.parametrize("words", [["--help"], ["methods"], ["select", "--help"]])
def test_starting_loads_no_heavy_library(words):
    code = (
        "import sys\nfrom hf_select.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'datasets', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_program_tells_errors_on_the_standard_error_alone():
    done = program("select", "--budgt", "40%")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("UnknownNameError: Unknown argument 'budgt'. Did you mean 'budget'")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_processes_of_a_launch_do_not_repeat_it():
    done = program("select", "--budgt", "40%", env={**os.environ, "RANK": "1"})
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_a_reader_that_leaves_is_no_error():
    code = "import sys; from hf_select.cli import main; sys.exit(main(['methods', '--json']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


def test_a_run_in_a_process_of_its_own(rows, tmp_path):
    done = program(
        *("select", "--dataset_name", rows, "--method", "core_set", "--embedder", "tfidf", "--budget", "10"),
        *("--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("core_set kept 10 of 60 rows (10 rows asked for, seed 0).")
    assert "\r" not in done.stderr  # no progress bar where nobody watches
    assert "%|" not in done.stderr
    assert len(Selection.load(tmp_path / "out")) == 10
