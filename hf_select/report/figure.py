"""The paper that every plot is drawn on: one style, a caption below, the data beside the picture.

Figures are made without ``pyplot``, so the caller's backend, open figures and ``rcParams`` stay as they are.
"""

from __future__ import annotations

import json
import textwrap
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.extra import missing_extra
from hf_select.files import replace_file, write_json
from hf_select.report.markup import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which people with any common colour blindness tell apart
KEPT = "#0072B2"
DROPPED = "#B8B8B8"
ACCENT = "#D55E00"
SECOND = "#E69F00"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_INK = "#333333"
_FAINT = "#DDDDDD"
_WIDTH_INCHES = 7.0


def new_figure(
    title: str, *, n_panels: int = 1, height: float = 4.0, shared_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty figure in the style of the library.

    Args:
        title: what the picture shows.
        n_panels: plots side by side.
        height: inches.
        shared_y: one y axis for all panels.

    Returns:
        The figure and its axes, left to right.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "A plot") from error

    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=150, layout="constrained", facecolor="white")
    panels = list(figure.subplots(1, n_panels, squeeze=False, sharey=shared_y)[0])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_INK)
        axes.tick_params(colors=_INK, labelsize=9)
        axes.grid(True, color=_FAINT, linewidth=0.7)
        axes.set_axisbelow(True)
    figure.suptitle(plain(title), fontsize=11, color=_INK, x=0.02, ha="left")
    return figure, panels


def label(axes: Axes, *, x: str = "", y: str = "") -> None:
    """Name the axes, units included."""
    axes.set_xlabel(plain(x), fontsize=9, color=_INK)
    axes.set_ylabel(plain(y), fontsize=9, color=_INK)


def name_rows(axes: Axes, names: list[str]) -> None:
    """Give each row of a horizontal plot its name, the first on top."""
    axes.set_yticks(range(len(names)), [plain(textwrap.shorten(name, 40, placeholder="…")) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")


def legend(axes: Axes, *, marker_scale: float = 1.0) -> None:
    """A legend above the plot, where it covers nothing."""
    n_columns = max(1, min(4, len(axes.get_legend_handles_labels()[1])))
    axes.legend(
        frameon=False, fontsize=9, labelcolor=_INK, markerscale=marker_scale,
        loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, ncols=n_columns,
    )  # fmt: skip


def plain(text: object) -> str:
    """Text that matplotlib shows as it is: no formulas, one line."""
    return one_line(text).replace("$", r"\$")


def save(figure: Figure, path: Path, *, caption: str, data: Mapping[str, Any]) -> Path:
    """Write the picture, and what it shows as JSON of the same name beside it.

    Args:
        figure: the figure.
        path: the picture, ``.png``.
        caption: what was counted: n, seed, unit; also printed below the plot.
        data: the numbers that were drawn.

    Returns:
        The path of the picture.
    """
    figure.supxlabel(
        "\n".join(plain(line) for line in textwrap.wrap(one_line(caption), 105)),
        fontsize=8, color="#666666", x=0.02, ha="left",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a name may hold any character
        replace_file(path, lambda temporary: figure.savefig(temporary, format="png"))
    write_json(path.with_suffix(".json"), {"caption": caption, "data": dict(data)})
    return path


def caption_of(path: Path) -> str:
    """The caption of a picture that ``save`` wrote."""
    content: dict[str, str] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return content["caption"]
