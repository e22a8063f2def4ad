"""The README followed line by line: from a dataset name to rows on the Hub with their card, and to reports.

Its recipes train models; ``tests/docs/test_pages.py`` reads those lines, and ``tests/recipes`` runs small ones.
"""

from pathlib import Path

import pytest
import yaml
from datasets import Dataset

from hf_select.selection import Selection
from tests.docs.block import Block, blocks
from tests.docs.reader import N_ROWS, names_at_hand, write_models, write_rows
from tests.docs.shell import run_line
from tests.hub.conftest import OF_THE_CLIENT, hub

pytestmark = [OF_THE_CLIENT, pytest.mark.filterwarnings("ignore:.*strata.*")]
__all__ = ["hub"]
README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = [block for block in blocks(README) if block.language and not block.reason]
N_KEPT = N_ROWS * 40 // 100


def block(word: str) -> Block:
    """The block of the README that holds a word."""
    [found] = [block for block in BLOCKS if word in block.text]
    return found


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What a reader of the README has at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    return names_at_hand(*write_models(tmp_path, write_rows(tmp_path)), tmp_path / "out")


def test_the_callback_in_five_lines(names):
    code = block("SelectionCallback(").text
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
    names["args"].max_steps = 201
    exec(code, names)
    assert [entry["step"] for entry in names["callback"].ledger] == [200]
    assert names["callback"].ledger[0]["n_rows"] == 8


def test_from_a_dataset_name_to_rows_on_the_hub_and_reports(names, hub, capsys):
    for number, each in enumerate(BLOCKS):
        if "SelectionCallback(" in each.text:
            continue  # 200 steps: above
        if each.language == "python":
            exec(compile(each.text, f"block {number} of the README", "exec"), names)
        else:
            for words in each.commands:
                run_line(words)
    assert number == 5

    picked = Selection.load("picked")
    assert (len(picked), picked.provenance["method"]["name"]) == (N_KEPT, "cdas")
    assert names["trainer"].state.global_step == 2
    assert "signal_response_nll" in names["dataset"].column_names
    assert len(names["subset"]) == len(picked)

    assert Selection.load("kept").provenance["method"]["n_clusters"] == 20
    page = Path("kept/report.html").read_text(encoding="utf-8")
    for shown in (f"{N_KEPT} of {N_ROWS} candidate rows were kept", "Kept and dropped rows by cluster", "What it cost"):
        assert shown in page, shown
    assert page.count("data:image/png;base64") >= 4
    compared = Path("compared/report.html").read_text(encoding="utf-8")
    assert "What the picks have in common" in compared
    assert "by chance" in compared
    assert len(Selection.load("by_ifd")) == N_KEPT

    files = hub.files("dataset", "me/rows-selected")
    assert hub.repos["dataset", "me/rows-selected"].private
    card = files["README.md"].decode()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert [each["config_name"] for each in metadata["configs"]] == ["cdas-40", "cdas-40-scores"]
    assert f"{N_KEPT} of {N_ROWS} rows of rows.jsonl, chosen by cdas" in card
    Path("pushed.parquet").write_bytes(files["data/cdas-40/train-00000-of-00001.parquet"])
    pushed = Dataset.from_parquet("pushed.parquet")
    rows = Dataset.from_json("rows.jsonl")
    assert pushed["output"][:] == rows.select(Selection.load("kept").indices)["output"][:]
    assert "me/rows-selected" in capsys.readouterr().out
