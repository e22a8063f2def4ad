"""Every block of every page runs, in order, in an empty folder; what cannot run here is read by a parser."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.block import Block, blocks
from tests.docs.reader import names_at_hand, write_models, write_rows
from tests.docs.shell import run_in_bash, run_line, understand_line
from tests.hub.conftest import OF_THE_CLIENT, hub

pytestmark = OF_THE_CLIENT
__all__ = ["hub"]
ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README": ROOT / "README.md", **{path.stem: path for path in sorted((ROOT / "docs").glob("*.md"))}}
N_BLOCKS = {
    "README": (6, 5, 0), "coding_tasks": (2, 0, 0), "collator": (3, 0, 1), "command_line": (10, 0, 0),
    "cookbook": (3, 4, 0), "evaluation": (1, 0, 0), "gates": (2, 4, 0), "hub": (2, 1, 0), "index": (1, 0, 0),
    "install": (2, 2, 0), "methods": (0, 0, 0), "numbers": (0, 1, 0), "quickstart": (6, 0, 0),
    "reliability": (0, 0, 0), "reselection": (2, 0, 1), "sandbox": (2, 0, 0), "scale": (0, 1, 0),
}  # fmt: skip
"""Page -> blocks that run, blocks that are read, blocks without code: what is marked by mistake shows here."""

RUN_ELSEWHERE = {
    "README": "tests/test_readme.py",
    "coding_tasks": "tests/evaluation/task/test_coding_tasks_page.py",
    "hub": "tests/hub/test_guide.py",
}
RUN_HERE = [page for page, (n_run, _, _) in N_BLOCKS.items() if n_run and page not in (*RUN_ELSEWHERE, "cookbook")]


def blocks_of(page: str) -> list[Block]:
    return blocks(PAGES[page].read_text(encoding="utf-8"))


def todo(page: str) -> list[Block]:
    return [block for block in blocks_of(page) if block.language and not block.reason]


def test_every_block_of_every_page_is_run_or_read():
    def kind(block):
        return ("read" if block.reason else "run") if block.language else "no code"

    counted = {page: Counter(map(kind, blocks_of(page))) for page in PAGES}
    assert {page: (n["run"], n["read"], n["no code"]) for page, n in counted.items()} == N_BLOCKS
    for page, path in PAGES.items():
        fences = re.findall("^ *```", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * counted[page].total(), page  # none in a form that `blocks` does not see
    for page, test in RUN_ELSEWHERE.items():
        assert (ROOT / test).is_file(), page


@pytest.fixture(scope="session")
def furniture(tmp_path_factory):
    """A folder with the rows and models of the pages, and what of it is in memory."""
    folder = tmp_path_factory.mktemp("furniture")
    return folder, *write_models(folder, write_rows(folder))


@pytest.fixture
def names(furniture, tmp_path, monkeypatch):
    """What a reader of the pages has at hand, in a folder with nothing but the files and models that they name."""
    folder, model, tokenizer = furniture
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    return names_at_hand(model, tokenizer, tmp_path / "out")


def run(block: Block, names: dict) -> None:
    """Run a block; of a shell block every line is a command of ours, or all of it is for a shell."""
    if block.language == "python":
        exec(compile(block.text, "block", "exec"), names)
    elif block.needs_a_shell:
        run_in_bash(block.text, Path.cwd())
    else:
        for words in block.commands:
            run_line(words)


def few_problems(monkeypatch):
    from hf_select import evaluation

    load = evaluation.load_benchmark
    monkeypatch.setattr(evaluation, "load_benchmark", lambda name: load(name)[:2])


def a_program_to_compile(monkeypatch):
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    Path("a.cpp").write_text("int main() { return 0; }\n", encoding="utf-8")


SLOW, LONG = pytest.mark.slow, ("command_line", "evaluation", "gates", "sandbox")
FIRST = {"evaluation": few_problems, "sandbox": a_program_to_compile}


@pytest.mark.filterwarnings("ignore:.*strata.*")
@pytest.mark.parametrize("page", [pytest.param(page, marks=SLOW if page in LONG else ()) for page in RUN_HERE])
def test_the_blocks_of_a_page_run(page, names, monkeypatch, hub):
    FIRST.get(page, lambda _: None)(monkeypatch)
    for block in todo(page):
        run(block, names)


COOKBOOK = todo("cookbook")


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # peft and TRL use the old name
@pytest.mark.parametrize("number", range(len(COOKBOOK)))
def test_a_block_of_the_cookbook_runs_by_itself(number, names):
    if "from trl" in COOKBOOK[number].text:
        pytest.importorskip("trl", reason="trl is not installed")
    run(COOKBOOK[number], names)


NOT_RUN = [(page, block) for page in PAGES for block in blocks_of(page) if block.reason]


@pytest.mark.parametrize(("page", "block"), NOT_RUN, ids=lambda value: value if isinstance(value, str) else "")
def test_a_block_that_does_not_run_is_understood(page, block, monkeypatch):
    assert len(block.reason.split()) >= 2
    assert block.language == "sh"
    assert block.commands
    programs = {understand_line(words) for words in block.commands}
    assert "hf-select" not in programs, "a command of ours can run: split the block"


def test_every_number_of_the_readme_has_its_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests")
    page = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")
    measured = re.search(r"\n## Measured\n(.*?)\n## ", readme, re.DOTALL)[1]
    rows = [line.split("|")[3] for line in measured.splitlines() if line.startswith("| ") and "measured |" not in line]
    figures = [figure for row in rows for figure in re.findall(r"[\d.]+x|1/\d+|0\.\d+", row)]
    assert len(figures) >= 20
    assert [figure for figure in figures if figure not in page] == []
    files = re.findall(r"`(benchmarks/[^` ]+)`", page)
    assert len(files) >= 20
    assert [file for file in files if not (ROOT / file).is_file()] == []
    modules = re.findall(r"python -m (benchmarks[\w.]+)", page)
    assert [module for module in modules if not (ROOT / f"{module.replace('.', '/')}.py").is_file()] == []
    scripts = re.findall(r"python (benchmarks/\S+\.py)", page)
    assert len(modules) + len(scripts) >= 11
    assert [script for script in scripts if not (ROOT / script).is_file()] == []
