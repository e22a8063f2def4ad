"""A report as a page: the markdown, and one HTML file with everything in it that opens without a network.

report.md + plots/*.png + plots/*.json  ──>  report.html: pictures and numbers inside, light and dark, no script
"""

from __future__ import annotations

import base64
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hf_select.crash_point import crash_point
from hf_select.files import replace_file
from hf_select.report.markup import END_OF_SUMMARY

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

_EMBEDDED = {".png": "image/png", ".json": "application/json"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0; --paper: #fff; --band: #f6f8fa; --link: #0969da }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d1d7e0; --faint: #9198a1; --line: #3d444d; --paper: #0d1117; --band: #151b23; --link: #4493f8 }
  img { filter: brightness(.88) }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word }
h1 { font-size: 1.7rem; line-height: 1.25 } h2 { margin-top: 2.4rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem }
a { color: var(--link) }
nav { border: 1px solid var(--line); border-radius: .5rem; background: var(--band); padding: .2rem 1rem }
nav ul { columns: 16rem; padding-left: 1.1rem }
.scroll { overflow-x: auto; margin: 1rem 0 } table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th:first-child { text-align: left } th, td { border: 1px solid var(--line); padding: .3rem .6rem; white-space: nowrap } tbody tr:nth-child(even) { background: var(--band) }
td:first-child { white-space: normal; min-width: 8rem }
img { display: block; max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: .4rem; background: #fff }
p:has(> img) { margin-bottom: .3rem } p:has(> img) + p { margin-top: 0; color: var(--faint); font-size: .87rem }
pre { overflow-x: auto; background: var(--band); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem }
code { font: .88em ui-monospace, monospace }
@media print { nav { display: none } body { max-width: none } }
"""  # noqa: E501 - a line of style is a rule
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def write_pages(folder: Path, sections: Sequence[str]) -> Path:
    """Write ``report.md``, and ``report.html`` that holds its pictures and their numbers.

    Args:
        folder: where the report goes, and where its pictures lie.
        sections: parts of the report as markdown, in order; pictures are named relative to the folder.

    Returns:
        The path of ``report.md``.
    """
    text = "\n\n".join(sections) + "\n"
    page = html_page(text, folder)
    crash_point("report.due")
    replace_file(folder / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    return replace_file(folder / "report.md", lambda path: path.write_text(text, encoding="utf-8"))


def html_page(text: str, folder: Path) -> str:
    """A report as one HTML page.

    Markup in the text that is not markdown is shown as text. Pictures and data below ``folder`` go into the page.

    Args:
        text: the report as markdown.
        folder: what its pictures are named relative to.

    Returns:
        The page.
    """
    from markdown_it.common.utils import escapeHtml

    parser, environment = _parser(), {"folder": folder.resolve()}
    tokens = parser.parse(text.replace(END_OF_SUMMARY, ""), environment)
    headings = _headings(tokens)
    links = "".join(
        f'<li><a href="#{anchor}">{parser.renderInline(title)}</a></li>\n'
        for tag, title, anchor in headings
        if tag == "h2"
    )
    contents = f'<nav aria-label="Contents"><ul>\n{links}</ul></nav>\n' if links else ""
    start = 3 if tokens and tokens[0].type == "heading_open" else 0  # behind the title: opened, written, closed
    parts = [parser.renderer.render(part, parser.options, environment) for part in (tokens[:start], tokens[start:])]
    title = re.sub("<[^>]*>", "", parser.renderInline(headings[0][1])) if headings else escapeHtml(folder.name)
    return _PAGE.format(title=title, style=_STYLE, body=contents.join(parts))


def _headings(tokens: Sequence[Token]) -> list[tuple[str, str, str]]:
    """Tag, markdown and anchor of every heading; gives each its anchor."""
    found: list[tuple[str, str, str]] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor = f"part-{len(found)}"
            token.attrSet("id", anchor)
            found.append((token.tag, tokens[place + 1].content, anchor))
    return found


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _image(
    renderer: Any, tokens: Sequence[Token], place: int, options: OptionsDict, environment: MutableMapping[str, Any]
) -> str:
    """A picture, inside the page; its name alone where there is none."""
    from markdown_it.common.utils import escapeHtml

    token: Token = tokens[place]
    name = escapeHtml(renderer.renderInlineAsText(token.children, options, environment))
    source = _embedded(str(token.attrs["src"]), environment["folder"])
    return f"<em>{name}</em>" if source is None else f'<img alt="{name}" src="{source}">'


def _link(
    renderer: Any, tokens: Sequence[Token], place: int, options: OptionsDict, environment: MutableMapping[str, Any]
) -> str:
    """A link; to data below the folder, the data themselves."""
    token: Token = tokens[place]
    target = str(token.attrs["href"])
    data = _embedded(target, environment["folder"])
    if data is not None:
        token.attrs["href"] = data
        token.attrSet("download", Path(unquote(target)).name)
    return str(renderer.renderToken(tokens, place, options, environment))


def _embedded(target: str, folder: Path) -> str | None:
    """A file below the folder as an address that holds it; ``None`` where it is none that a report embeds."""
    path = (folder / unquote(target)).resolve()
    if path.suffix not in _EMBEDDED or not path.is_relative_to(folder) or not path.is_file():
        return None
    return f"data:{_EMBEDDED[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
