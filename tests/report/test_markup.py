"""Escaping: rendered markdown shows the text and nothing else."""

import html
import importlib.util
import re
from pathlib import Path

import pytest

from hf_select.report.markup import Markdown, bullets, code_block, escape, one_line, redact, table

markdown_it = pytest.importorskip("markdown_it")
_spec = importlib.util.spec_from_file_location("hostile", Path(__file__).with_name("hostile.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
HOSTILE = _module.HOSTILE


def render(text: str) -> str:
    return markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def test_there_are_at_least_thirty_hostile_strings():
    assert len(set(HOSTILE)) >= 30


@pytest.mark.parametrize("text", HOSTILE)
def test_a_paragraph_shows_exactly_the_text(text):
    assert render(escape(text)) == f"<p>{html.escape(one_line(text), quote=True)}</p>\n".replace("&#x27;", "'")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_one_cell_of_a_table(text):
    rendered = render(table(["name", "n"], [[text, 1], ["after", 2]]))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", rendered, flags=re.DOTALL)
    assert len(cells) == 4
    assert html.unescape(cells[0]) == one_line(text)
    assert cells[2] == "after"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_closes_a_code_block(text):
    rendered = render(code_block(text, "bash") + "\n\nafter\n")
    assert rendered.count("<code") == 1
    assert rendered.endswith("</code></pre>\n<p>after</p>\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_github_would_link_by_itself_remains(text):
    assert not re.search(r"://|www\.|\w@[\w-]+\.\w", escape(text))


def test_plain_names_stay_readable():
    for name in ("gates+cdas:40%", "my_model", "Qwen2.5-Coder", "pass@1", "0.830", "-5.1", "1,200 rows", "–"):
        assert escape(name) == name


def test_markdown_passes_and_lists_escape():
    assert escape(Markdown("**a**")) == "**a**"
    assert bullets(["a*b", Markdown("*c*")]) == "- a\\*b\n- *c*"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("--hub_token hf_abc --lr 1", "--hub_token *** --lr 1"),
        ("--hub-token=secret", "--hub-token=***"),
        ("HF_TOKEN=abc run", "HF_TOKEN=*** run"),
        ("OPENAI_API_KEY=abc", "OPENAI_API_KEY=***"),
        ("see hf_AbCdEfGhIjKlMnOpQrStUvWxYz", "see hf_***"),
        ("--max_tokens_per_batch 16384", "--max_tokens_per_batch 16384"),
        ("--use_auth_token --push_to_hub", "--use_auth_token --push_to_hub"),
        ("1.5M tokens", "1.5M tokens"),
        ("hf_select", "hf_select"),
    ],
)
def test_secrets_are_replaced_and_token_counts_are_not(text, clean):
    assert redact(text) == clean
    assert "***" not in redact("max_tokens=2048")


def test_a_code_block_keeps_lines_and_tabs_and_drops_secrets():
    assert code_block("a\n\tb --token x") == "```\na\n\tb --token ***\n```"
    assert code_block("````").startswith("`````\n")
