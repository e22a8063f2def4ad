"""The report as a whole."""

import json
import re

import numpy as np
import pytest

from hf_select.report import SelectionView, report, write_report


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, flags=re.MULTILINE)


def test_a_full_report_has_every_section_and_its_links_lead_somewhere(results, tmp_path):
    path = write_report(tmp_path / "run", results, notes=["Notes of the recipe | here."])
    text = path.read_text()
    assert path == tmp_path / "run" / "report.md"
    assert text.startswith("# Report: codeact\n\n| arm |")
    assert sections(text) == [
        "What the data bear out",
        "What this does not show",
        "Plots",
        "What it cost",
        "What the gates dropped",
        "How it was run",
    ]
    links = re.findall(r"\]\((plots/[^)]*)\)", text)
    assert len(links) == 12  # six pictures, each with its data
    assert all((path.parent / link).is_file() for link in links)
    assert "Notes of the recipe &#124; here." in text
    assert "```bash\naccelerate launch recipes/codeact.py\n```" in text
    assert "| planted junk | 55 % |" in text
    assert "| duplicate | 1,093 | 36.4 |" in text
    assert "| torch | 2.13.0 |" in text


def test_the_summary_stands_before_its_mark(results, tmp_path):
    summary, mark, rest = write_report(tmp_path, results).read_text().partition("<!-- end of summary -->")
    assert mark
    assert rest
    assert "is better than" in summary
    assert "| gates+cdas:40% | yes |" in summary


def test_without_execution_the_report_says_why(not_executed, tmp_path):
    text = write_report(tmp_path, not_executed).read_text()
    assert "No plot of pass@1: pass@1 was not measured" in text
    assert "HF\\_ALLOW" not in text  # an underscore inside a word needs no escape
    assert "| sandbox level | nothing was executed |" in text
    assert not (tmp_path / "plots" / "pass_at_1.png").exists()
    assert (tmp_path / "plots" / "validation_loss.png").is_file()


def test_bare_results_make_a_report(tmp_path):
    text = write_report(tmp_path, {}).read_text()
    assert "# Report: run" in text
    assert "Nothing was compared." in text
    assert "No plot of validation loss: no arm has a value." in text


def test_several_seeds_and_benchmarks_have_tables_of_their_own(results, tmp_path):
    for arm in results["arms"]:
        rates = [arm["pass_at_1"], arm["pass_at_1"] - 0.1]
        arm["seeds"] = [0, 1]
        arm["per_seed"] = [
            {"pass_at_1": rate, "n_problems": 200, "benchmarks": {"demo": {"pass_at_1": rate}, "mbpp": {}}}
            for rate in rates
        ]
    text = write_report(tmp_path, results).read_text()
    assert {"Benchmarks", "Every seed: pass@1"} <= set(sections(text))
    assert "| full | 0.830 | 0.730 |" in text
    assert "| full | 0.780 ± 0.071 | – |" in text
    assert "Over 2 seeds." in text
    assert "| duplicate | 1,093 | 18.2 |" in text


def test_views_of_a_selection_are_drawn(results, tmp_path):
    rng = np.random.default_rng(0)
    kept = rng.random(40) < 0.5
    view = SelectionView(
        "gates+cdas", kept, scores=rng.random(40), score_name="IFD", strata=list(range(4)) * 10,
        row_tokens=rng.integers(1, 50, 40), vectors=rng.normal(size=(40, 3)),
    )  # fmt: skip
    text = write_report(tmp_path, results, views=[view, SelectionView("nothing", kept)]).read_text()
    assert "gates+cdas: IFD of kept and dropped rows" in text
    assert len(list((tmp_path / "plots").glob("selection_0_*.png"))) == 4
    assert not list((tmp_path / "plots").glob("selection_1_*"))


def test_several_budgets_bring_the_curve(results, tmp_path):
    random = results["arms"][1]
    results["arms"].append(random | {"name": "random:10%", "budget": "10%", "rows": 300})
    write_report(tmp_path, results)
    assert json.loads((tmp_path / "plots" / "budget_curve.json").read_text())["data"]["curves"][0]["method"] == "random"


def test_without_matplotlib_there_are_tables_only(results, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    text = write_report(tmp_path, results).read_text()
    assert "matplotlib is not installed" in text
    assert "hf-select\\[plots\\]" in text
    assert not (tmp_path / "plots").exists()


def test_hostile_names_do_not_break_the_report(results, tmp_path):
    pytest.importorskip("markdown_it")
    from markdown_it import MarkdownIt

    evil = "x</td><script>alert(1)</script>\n\n# H\n| a | b |\n```\n<!-- end of summary -->"
    for arm in results["arms"]:
        arm["name"] += evil
    hostile = results | {
        "recipe": evil,
        "command": evil,
        "config": {evil: evil},
        "dataset": {evil: evil, "n_rows": 3000},
        "gates": {evil: 1},
    }
    text = write_report(tmp_path, hostile).read_text()
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert "<script>" not in rendered
    assert rendered.count("<!-- end of summary -->") == 1
    assert rendered.count("<h1>") == 1
    assert rendered.count("<table>") == 6
