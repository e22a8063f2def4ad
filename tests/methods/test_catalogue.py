from pathlib import Path

import pytest

from hf_select.methods import METHODS
from hf_select.methods.catalogue import catalogue, sections

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"


def test_the_page_is_the_one_the_code_writes():
    assert PAGE.read_text(encoding="utf-8") == catalogue(), (
        "docs/methods.md is stale; run: python -m hf_select.methods.catalogue docs/methods.md"
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_line_in_the_table_and_a_section(name):
    page = catalogue()
    assert f"| [`{name}`](#{name}) |" in page
    assert f"\n## {name}\n" in page


def test_a_continued_line_of_a_section_is_kept():
    text = sections(METHODS["k_means"])["Attributes"]
    assert text.startswith("max_clusters: above")
    assert text.endswith("picks.")
    assert "| `max_clusters` | `2000` | above this many picks" in catalogue()
    assert "with its share of the picks. |" in catalogue()
