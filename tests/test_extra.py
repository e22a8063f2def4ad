"""A package that is missing is named with the extra that brings it, wherever it is first needed."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_select.cli import main
from hf_select.errors import MissingExtraError
from hf_select.extra import EXTRAS, check_extra, install_command, missing_extra
from hf_select.gates import NearDuplicateGate, ParsesGate, StaticGate
from hf_select.report.selection_plots import plot_lengths
from hf_select.signals.models import Models

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@pytest.mark.parametrize("module", EXTRAS)
def test_every_package_stands_in_its_extra(module):
    if not PYPROJECT.is_file():
        pytest.skip("no pyproject.toml beside the tests")
    package, extra = EXTRAS[module]
    table = PYPROJECT.read_text(encoding="utf-8").partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    content = re.search(rf"^{extra} = \[(.*?)\]", table, re.MULTILINE | re.DOTALL)[1]
    assert f'"{package}>=' in content
    assert f'"{package}>=' in re.search(r"^dev = \[(.*?)^\]", table, re.MULTILINE | re.DOTALL)[1]


def draw(tmp_path):
    plot_lengths(np.arange(3), np.ones(3, dtype=bool), tmp_path / "lengths.png")


USES = {
    "matplotlib": (draw, "A plot needs matplotlib"),
    "sentence_transformers": (lambda _: Models(given_embedder="no/embedder").embedder, "embedder='no/embedder' needs"),
    "datasketch": (lambda _: NearDuplicateGate(), "The gate 'near_duplicates' needs datasketch"),
    "pyflakes": (lambda _: StaticGate(), "The gate 'static' needs pyflakes"),
    "shtab": (lambda _: check_extra("shtab", "hf-select completion"), "hf-select completion needs shtab"),
}
"""The others, faiss and the grammars, are done without: the slower way, or code that is counted as not checked."""


@pytest.fixture
def hide(monkeypatch):
    """Make a package look as if it were not installed."""

    def hide_module(module):
        for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, module, None)

    return hide_module


@pytest.mark.parametrize("module", USES)
def test_what_needs_a_package_names_its_extra(module, hide, tmp_path):
    use, message = USES[module]
    hide(module)
    with pytest.raises(MissingExtraError, match=f"^{re.escape(message)}") as refused:
        use(tmp_path)
    assert f"which is not installed: pip install 'hf-select[{EXTRAS[module][1]}]'" in str(refused.value)


COMMANDS = {
    "sentence_transformers": ["--method", "core_set", "--embedder", "some/embedder"],
    "datasketch": ["--method", "length", "--gates", "near_duplicates"],
    "pyflakes": ["--method", "length", "--gates", "static"],
}


@pytest.mark.parametrize("module", COMMANDS)
def test_the_command_line_says_so_before_any_work(module, hide, tmp_path, capsys):
    hide(module)
    words = ["--dataset_name", "demo", "--max_rows", "5", "--budget", "2", "--output_dir", str(tmp_path / "out")]
    assert main(["select", *COMMANDS[module], *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.splitlines()[-1]
    assert last.startswith("MissingExtraError: ")
    assert install_command(module) in last
    assert not (tmp_path / "out").exists()


def test_completion_without_its_package(hide, capsys):
    hide("shtab")
    assert main(["completion", "bash"]) == 2
    assert "pip install 'hf-select[completion]'" in capsys.readouterr().err


def test_code_without_a_grammar_is_kept_and_said(hide, caplog):
    from hf_select.gates import parses

    hide("tree_sitter_language_pack")
    parses._parser.cache_clear()
    gate = ParsesGate(language="java")
    assert gate({"prompt": ["p"], "completion": ["class A {"]}) == [True]
    assert "pip install 'hf-select[gates]' brings its parser" in caplog.text
    assert gate.n_not_checked == 1
    parses._parser.cache_clear()


def test_what_else_can_be_done_ends_the_message():
    assert str(missing_extra("faiss", "This", "Or wait.")) == (
        "This needs faiss-cpu, which is not installed: pip install 'hf-select[fast]'. Or wait."
    )
    assert isinstance(missing_extra("faiss", "This"), ImportError)
