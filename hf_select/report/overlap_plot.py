"""The plot of how much selections have in common, beside what chance alone would give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.errors import ConfigError
from hf_select.overlap import Overlap
from hf_select.report.figure import new_figure, plain, save
from hf_select.signals.keys import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_NAMES_BESIDE = 8  # with more selections than this a panel takes the whole width
_DARK = 0.55  # from here on a cell is so dark that its number is printed in white


def plot_overlap(overlaps: Mapping[str, Sequence[Overlap]], path: Path) -> Path:
    """Draw the rows that selections have in common, one panel per budget.

    Args:
        overlaps: for each budget the overlaps of one or more seeds, all of the same selections.
        path: where to, ``.png``; the numbers go beside it as ``.json``.

    Returns:
        The path.

    Raises:
        ConfigError: if there is nothing to draw, or the seeds of a budget are of other selections.
    """
    if not overlaps or not all(overlaps.values()):
        raise ConfigError("A plot of overlaps needs at least one overlap for every budget.")
    if len({found.names for seeds in overlaps.values() for found in seeds}) != 1:
        raise ConfigError("All panels of a plot of overlaps must be of the same selections.")
    names = next(iter(overlaps.values()))[0].names
    n_columns = 2 if len(overlaps) > 1 and len(names) <= _MAX_NAMES_BESIDE else 1
    n_lines = math.ceil(len(overlaps) / n_columns)
    side = 6.0 / n_columns if len(names) > 3 else 2.6
    figure, (whole,) = new_figure("Rows that selections have in common", height=0.9 + n_lines * (side + 0.3))
    whole.remove()
    panels = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for axes in panels[len(overlaps) :]:
        axes.remove()
    for axes, (budget, seeds) in zip(panels, overlaps.items(), strict=False):
        _draw(axes, f"{budget}: by chance {expectation(seeds)}", names, mean_fraction(seeds))
    n_seeds = max(len(seeds) for seeds in overlaps.values())
    pool = next(iter(overlaps.values()))[0].n_candidates
    caption = (
        f"Numbers: rows in common in percent of the smaller selection, n = {pool:,} candidates"
        + (f", mean over {n_seeds} seeds" if n_seeds > 1 else "")
        + ". By chance: what two random draws of these sizes share on average."
    )
    return save(figure, path, caption=caption, data={"budgets": overlap_data(overlaps)})


def overlap_data(overlaps: Mapping[str, Sequence[Overlap]]) -> list[dict[str, Any]]:
    """The numbers of the plot as plain data.

    Args:
        overlaps: as for ``plot_overlap``.

    Returns:
        For each budget the names, the mean shares, and the pairs of every seed.
    """
    return [
        {
            "budget": budget,
            "names": list(seeds[0].names),
            "overlap": [
                [None if math.isnan(value) else round(value, 6) for value in line]
                for line in mean_fraction(seeds).tolist()
            ],
            "per_seed": [found.pairs() for found in seeds],
        }
        for budget, seeds in overlaps.items()
    ]


def mean_fraction(seeds: Sequence[Overlap]) -> Floats:
    """``(S, S)`` share of rows in common, mean over the seeds."""
    return np.asarray(np.mean([found.fraction for found in seeds], axis=0))


def expectation(seeds: Sequence[Overlap]) -> str:
    """What chance alone would share, in percent; a range where the selections differ in size."""
    expected = np.concatenate([found.expected_fraction.ravel() for found in seeds]) * 100
    low, high = f"{expected.min():.3g}", f"{expected.max():.3g}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _draw(axes: Axes, title: str, names: Sequence[str], shares: Floats) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(names))
    shown = [plain(name) for name in names]
    size = max(4.0, min(9.0, 72 / len(names)))
    axes.set_xticks(places, shown, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(places, shown, fontsize=size)
    axes.spines[:].set_visible(False)
    axes.set_title(plain(title), fontsize=9, color="#333333", loc="left")
    for i in places:
        for j in places:
            share = shares[i, j]
            colour = "white" if share > _DARK else "#333333"
            told = "–" if math.isnan(share) else f"{100 * share:.0f}"
            axes.text(j, i, told, ha="center", va="center", fontsize=size, color=colour)
