"""The cost curve: what an arm reached, over all that it took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hf_select.errors import ConfigError
from hf_select.report.figure import DROPPED, KEPT, LINES, label, legend, new_figure, plain, save
from hf_select.report.result import Arm, Measure, Spread, spread_of

_MAX_NAME = 24  # characters, so that a legend of any names leaves room for the plot
_NAMES: dict[Measure, str] = {
    "pass_at_1": "pass@1",
    "validation_loss": "validation loss (nats per response token), lower is better",
}


def has_cost_curve(arms: Sequence[Arm], measure: Measure) -> bool:
    """Whether two arms or more have both the measure and a training time.

    Args:
        arms: the arms.
        measure: what was reached.

    Returns:
        The answer.
    """
    return len(_points(arms, measure)) > 1


def plot_cost_curve(arms: Sequence[Arm], measure: Measure, path: Path) -> Path:
    """Draw what each arm reached over its seconds of selection and training together.

    A grey line leads from the training alone to the sum: what selecting added. An arm pays where a point without it
    lies neither left of it nor at a better value.

    Args:
        arms: the arms.
        measure: ``"pass_at_1"`` or ``"validation_loss"``.
        path: where to, ``.png``.

    Returns:
        The path.

    Raises:
        ConfigError: if fewer than two arms have the measure and a training time.
    """
    points = _points(arms, measure)
    if len(points) < 2:
        raise ConfigError(f"A cost curve needs two arms with {measure!r} and a training time; there are {len(points)}.")
    figure, (axes,) = new_figure("What was reached, over what it took", height=4.2)
    records = []
    for number, (name, value, selection, training) in enumerate(points):
        total = selection + training
        axes.plot([training, total], [value.mean] * 2, color=DROPPED, linewidth=2, zorder=1)
        if value.sd:
            axes.plot([total] * 2, [value.mean - value.sd, value.mean + value.sd], color=KEPT, linewidth=1, zorder=1)
        axes.plot(
            [total], [value.mean], "o", color=LINES[number % len(LINES)], markersize=7, label=plain(name)[:_MAX_NAME]
        )
        told = {"arm": name, "selection_seconds": selection, "training_seconds": training}
        records.append({**told, "mean": value.mean, "sd": value.sd, "n_seeds": value.n})
    axes.set_xlim(left=0)
    axes.margins(y=0.12)
    legend(axes)
    label(axes, x="selection and training (s)", y=_NAMES.get(measure, measure))
    n_seeds = max(value.n for _, value, _, _ in points)
    caption = (
        f"n = {len(points)} arms, mean over {n_seeds} seed{'s' if n_seeds > 1 else ''}; thin line: ± standard "
        "deviation. Seconds of wall clock: selection counts passes, gates and picking; the grey part is what it "
        "added to training."
    )
    return save(figure, path, caption=caption, data={"measure": measure, "arms": records})


def _points(arms: Sequence[Arm], measure: Measure) -> list[tuple[str, Spread, float, float]]:
    """Name, value, seconds of selection and of training of every arm that has them."""
    found = []
    for arm in arms:
        value, training = spread_of(arm, measure), spread_of(arm, "training_seconds")
        if value is not None and training is not None:
            selection = spread_of(arm, "selection_seconds")
            found.append((str(arm.get("name", "?")), value, selection.mean if selection else 0.0, training.mean))
    return found
