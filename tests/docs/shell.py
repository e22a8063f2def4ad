"""A shell line of a page: run in this process where it is ours, read by its program's parser where it is long."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hf_select.cli import main
from hf_select.cli.command import parse

ROOT = Path(__file__).resolve().parents[2]


def run_line(words: list[str]) -> None:
    """Run a line: ``hf-select ...``, also where ``accelerate launch`` starts it, then with one process."""
    if words[:4] == ["accelerate", "launch", "-m", "hf_select.cli"]:
        words = ["hf-select", *words[4:]]
    assert words[0] == "hf-select", f"only hf-select is run here; mark the block of {words} and say why"
    assert main(words[1:]) == 0, words


def run_in_bash(text: str, folder: Path) -> str:
    """Run lines in a real bash whose home and working folder is an empty one; give what they said."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, words in {"hf-select": "-m hf_select.cli ", "python": ""}.items():
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n', encoding="utf-8")
        program.chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    modules = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PATH": path, "HOME": str(folder), "PYTHONPATH": modules}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def understand_line(words: list[str]) -> str:
    """Read a line with the parser of its program, without running it; give the program."""
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    assert words[0] in _READERS, words
    _READERS[words[0]](words[1:])
    return words[0]


def _make(words):
    makefile = ROOT / "Makefile"
    if not makefile.is_file():
        pytest.skip("no Makefile beside the tests")
    assert words
    for word in words:
        assert re.search(rf"^{word}:", makefile.read_text(encoding="utf-8"), re.MULTILINE), word


def _accelerate(words):
    from accelerate.commands.launch import launch_command_parser

    assert words[0] == "launch"
    read = launch_command_parser().parse_args(words[1:])
    assert read.config_file is None or (ROOT / read.config_file).is_file()
    if read.module:
        assert read.training_script == "hf_select.cli"
        parse(read.training_script_args)
    else:
        _recipe(Path(read.training_script), read.training_script_args)


def _recipe(script, words):
    from hf_select.experiment.arguments import parse_arguments
    from hf_select.grid.arguments import parse_grid_arguments
    from hf_select.study.arguments import parse_study_arguments

    if not (ROOT / script).is_file():
        pytest.skip("no recipes beside the tests")
    readers = {"codeact": parse_arguments, "dsbox": parse_grid_arguments, "discore": parse_study_arguments}
    config = ROOT / "recipes" / "configs" / f"{script.stem}_demo.yaml"
    words = [str(ROOT / word) if word.startswith("recipes/") else word for word in words]
    # tf32 and bf16, which some configurations ask for, and no CPU has
    found = readers[script.stem]([*words, "--tf32", "False"], description="", default_config=config)
    assert str(found.training.output_dir).startswith("runs/")


def _pip(words):
    assert words[0] == "install"
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = metadata.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = re.findall(r"^(\w+) = \[", table, re.MULTILINE)
    assert len(extras) >= 5
    for word in words[1:]:
        asked = Requirement(word.removesuffix(" @ .").strip())
        assert asked.name in ("torch", "hf-select")
        assert asked.extras <= set(extras)


def _python(words):
    assert words[0] == "-m"
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests")
    place = importlib.util.find_spec(words[1])
    assert place is not None, words
    sources = [path.read_text(encoding="utf-8") for path in Path(place.origin).parent.glob("*.py")]
    for option in (word for word in words[2:] if word.startswith("--")):
        assert any(f'"{option}"' in source for source in sources), option


_READERS = {"hf-select": parse, "accelerate": _accelerate, "make": _make, "pip": _pip, "python": _python}
