"""Plots of the arms of a run: what training on each choice of rows gave, and what it cost.

Every function draws one picture and returns its path. Arms without the measure are left out, and the caption names
them; if no arm has it, there is nothing to draw and the function says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import ConfigError
from hf_select.report.comparison import is_full, is_random
from hf_select.report.figure import DROPPED, KEPT, LINES, SECOND, label, legend, name_rows, new_figure, save
from hf_select.report.result import Arm, Measure, interval_of, n_seeds, problems_of, spread_of, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_pass_at_1(arms: Sequence[Arm], path: Path) -> Path:
    """Draw pass@1 of each arm with its 95 % interval and its single seeds.

    Args:
        arms: the arms, first on top.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if no arm has a pass@1.
    """
    shown, missing = _measured(arms, "pass_at_1")
    n_problems = sorted({n for arm in shown if (n := problems_of(arm))})
    told = " / ".join(map(str, n_problems)) or "unknown number of"
    caption = (
        f"Dot: pass@1 (mean over seeds); line: 95 % interval over problems, where given; small dots: single seeds. "
        f"n = {told} problems, those of all seeds together. {_seeds(shown)}.{missing}"
    )
    figure, (axes,) = new_figure("pass@1 by arm", height=_height(shown))
    records = [_draw_dot(axes, row, arm, "pass_at_1", interval_of(arm)) for row, arm in enumerate(shown)]
    name_rows(axes, [_name(arm) for arm in shown])
    label(axes, x="pass@1 (share of problems solved)")
    return save(figure, path, caption=caption, data={"arms": records})


def plot_validation_loss(arms: Sequence[Arm], path: Path) -> Path:
    """Draw the validation loss of each arm; its axis does not start at zero.

    Args:
        arms: the arms, first on top.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if no arm has a validation loss.
    """
    shown, missing = _measured(arms, "validation_loss")
    caption = (
        f"n = {len(shown)} arms. Mean loss on held-out rows after training, nats per response token, lower is better; "
        f"line: ± standard deviation over seeds, where there are several. {_seeds(shown)}. The axis does not "
        f"start at zero.{missing}"
    )
    figure, (axes,) = new_figure("Validation loss by arm", height=_height(shown))
    records = []
    for row, arm in enumerate(shown):
        spread = spread_of(arm, "validation_loss")
        band = (spread.mean - spread.sd, spread.mean + spread.sd) if spread and spread.sd else None
        records.append(_draw_dot(axes, row, arm, "validation_loss", band))
    name_rows(axes, [_name(arm) for arm in shown])
    label(axes, x="validation loss (nats per response token)")
    return save(figure, path, caption=caption, data={"arms": records})


def plot_padding(arms: Sequence[Arm], path: Path) -> Path:
    """Draw which share of the tokens that went through the model were real ones.

    Args:
        arms: the arms, first on top.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if no arm has a padding fraction.
    """
    shown, missing = _measured(arms, "padding_fraction")
    percent = [100 * (1 - _mean(arm, "padding_fraction")) for arm in shown]
    figure, (axes,) = new_figure("Real tokens among all tokens of the training batches", height=_height(shown))
    axes.barh(range(len(shown)), percent, height=0.6, color=KEPT)
    axes.barh(range(len(shown)), [100 - p for p in percent], left=percent, height=0.6, color=DROPPED)
    for row, value in enumerate(percent):
        axes.text(value - 1.5, row, f"{value:.1f}", va="center", ha="right", fontsize=9, color="white")
    name_rows(axes, [_name(arm) for arm in shown])
    axes.set_xlim(0, 100)
    label(axes, x="share of tokens (%)")
    records = [{"arm": _name(arm), "real_percent": p} for arm, p in zip(shown, percent, strict=True)]
    caption = (
        f"n = {len(shown)} arms. Blue: real tokens; grey: padding, which costs time and teaches nothing. "
        f"{_seeds(shown)}.{missing}"
    )
    return save(figure, path, caption=caption, data={"arms": records})


def plot_cost(arms: Sequence[Arm], path: Path) -> Path:
    """Draw seconds of selection and training, and peak memory, of each arm.

    Args:
        arms: the arms, first on top.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if no arm has a training time.
    """
    shown, missing = _measured(arms, "training_seconds")
    training = [_mean(arm, "training_seconds") for arm in shown]
    selection = [_mean(arm, "selection_seconds") for arm in shown]
    memory = [_mean(arm, "peak_memory_bytes") / 1e6 for arm in shown]
    with_memory = any(memory)
    figure, panels = new_figure(
        "What each arm cost", n_panels=2 if with_memory else 1, height=_height(shown) + 0.3, shared_y=True
    )
    rows = range(len(shown))
    panels[0].barh(rows, selection, height=0.6, color=SECOND, label="selection")
    panels[0].barh(rows, training, left=selection, height=0.6, color=KEPT, label="training")
    name_rows(panels[0], [_name(arm) for arm in shown])
    label(panels[0], x="time (s)")
    legend(panels[0])
    if with_memory:
        panels[1].barh(rows, memory, height=0.6, color=DROPPED)
        panels[1].grid(False, axis="y")
        label(panels[1], x="peak memory (MB)")
    caption = (
        f"n = {len(shown)} arms. Wall-clock seconds and peak memory of the process, mean over seeds. {_seeds(shown)}."
        f"{missing}"
    )
    measures: tuple[Measure, ...] = ("selection_seconds", "training_seconds", "peak_memory_bytes")
    for measure in measures:
        if unknown := [_name(arm) for arm in shown if not values_of(arm, measure)]:
            caption += f" {measure.replace('_', ' ')} not measured, drawn as none: {', '.join(unknown)}."
    records = [{"arm": _name(arm), **{measure: list(values_of(arm, measure)) for measure in measures}} for arm in shown]
    return save(figure, path, caption=caption, data={"arms": records})


def plot_budget_curve(arms: Sequence[Arm], path: Path, *, n_rows: int | None = None) -> Path:
    """Draw pass@1 over the number of rows, one line per method, random with its band.

    Args:
        arms: the arms; those that share method and gates make a line.
        path: where to, ``.png``.
        n_rows: rows of the dataset; the axis shows percent of it where given, else rows.

    Returns:
        The path.

    Raises:
        ConfigError: if no method has a pass@1 at two or more budgets.
    """
    curves = budget_curves(arms)
    if not curves:
        raise ConfigError("A budget curve needs a method with a pass@1 at two or more budgets; no method has that.")
    figure, (axes,) = new_figure("pass@1 over the number of rows kept", height=4.2)
    scale = 100 / n_rows if n_rows else 1.0
    data = []
    for number, (name, points) in enumerate(curves.items()):
        rows = [scale * _mean(arm, "rows") for arm in points]
        rates = [_mean(arm, "pass_at_1") for arm in points]
        colour = "#666666" if is_random(points[0]) else LINES[number % len(LINES)]
        axes.plot(rows, rates, marker="o", markersize=5, color=colour, label=name)
        bands = [_band(arm) for arm in points]
        if is_random(points[0]):
            axes.fill_between(
                rows, [low for low, _ in bands], [high for _, high in bands], color=DROPPED, alpha=0.5, lw=0
            )
        data.append({"method": name, "rows": rows, "pass_at_1": rates, "band": bands})
    for arm in arms:
        if is_full(arm) and values_of(arm, "pass_at_1"):
            axes.axhline(_mean(arm, "pass_at_1"), color="#000000", linestyle="--", linewidth=1, label=_name(arm))
    legend(axes)
    label(axes, x="rows kept (%)" if n_rows else "rows kept", y="pass@1")
    caption = (
        f"n = {len(curves)} methods. Band: random, ± standard deviation over seeds, or with one seed its 95 % interval "
        f"over problems; dashed: all rows. {_seeds(arms)}."
    )
    return save(figure, path, caption=caption, data={"curves": data})


def budget_curves(arms: Iterable[Arm]) -> dict[str, list[Arm]]:
    """Arms with a pass@1 by method and gates, ascending in rows; only methods with two or more budgets."""
    curves: dict[str, list[Arm]] = {}
    for arm in arms:
        if values_of(arm, "pass_at_1") and values_of(arm, "rows") and not is_full(arm):
            name = f"{arm['method']} after gates" if arm.get("gated") else str(arm["method"])
            curves.setdefault(name, []).append(arm)
    several = {name: sorted(points, key=lambda arm: _mean(arm, "rows")) for name, points in curves.items()}
    return {name: points for name, points in several.items() if len({_mean(arm, "rows") for arm in points}) > 1}


def _draw_dot(axes: Axes, row: int, arm: Arm, measure: Measure, band: tuple[float, float] | None) -> dict[str, Any]:
    values, mean = values_of(arm, measure), _mean(arm, measure)
    if band is not None:
        axes.plot(band, (row, row), color=KEPT, linewidth=2, solid_capstyle="butt")
    if len(values) > 1:
        axes.plot(values, [row] * len(values), "o", color=SECOND, markersize=3.5, zorder=3)
    axes.margins(x=0.08)
    axes.plot([mean], [row], "o", color=KEPT, markersize=7)
    axes.annotate(f"{mean:.3f}", (mean, row), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
    return {"arm": _name(arm), "mean": mean, "values": list(values), "interval": band}


def _measured(arms: Sequence[Arm], measure: Measure) -> tuple[list[Arm], str]:
    """Arms that have the measure, and a sentence that names the others."""
    shown = [arm for arm in arms if values_of(arm, measure)]
    if not shown:
        raise ConfigError(f"No arm has a value for {measure!r}, so there is nothing to draw.")
    missing = [_name(arm) for arm in arms if not values_of(arm, measure)]
    return shown, f" Not measured: {', '.join(missing)}." if missing else ""


def _mean(arm: Arm, measure: Measure) -> float:
    spread = spread_of(arm, measure)
    return 0.0 if spread is None else spread.mean


def _band(arm: Arm) -> tuple[float, float]:
    spread = spread_of(arm, "pass_at_1")
    if spread is not None and spread.sd is not None:
        return spread.mean - spread.sd, spread.mean + spread.sd
    return interval_of(arm) or (_mean(arm, "pass_at_1"), _mean(arm, "pass_at_1"))


def _name(arm: Arm) -> str:
    return str(arm.get("name", "?"))


def _seeds(arms: Sequence[Arm]) -> str:
    seeds = sorted({seed for arm in arms for seed in arm.get("seeds") or ()})
    n = max((n_seeds(arm) for arm in arms), default=1)
    if not seeds:
        return f"Number of seeds: {n}"
    return f"Seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _height(arms: Sequence[Arm]) -> float:
    return 1.7 + 0.45 * len(arms)
