"""The tables of a report: outcome, cost, gates, every seed on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_select.report.markup import Markdown, table
from hf_select.report.result import Arm, Measure, Spread, interval_of, n_seeds, spread_of, values_of

NOT_MEASURED = "–"


def outcome_table(arms: Sequence[Arm]) -> Markdown:
    """What training on each arm's rows gave: rows, tokens, steps, pass@1 with its 95 % interval, validation loss.

    Args:
        arms: the arms, in the order to show.

    Returns:
        The table; mean ± standard deviation where an arm has several seeds.
    """
    header = ["arm", "gates", "rows", "tokens", "steps", "seeds", "pass@1", "95 % interval", "validation loss"]
    rows = [
        [
            arm.get("name", "?"),
            "yes" if arm.get("gated") else "no",
            count(spread_of(arm, "rows")),
            count(spread_of(arm, "tokens")),
            count(spread_of(arm, "steps")),
            n_seeds(arm),
            decimal(spread_of(arm, "pass_at_1"), 3),
            interval_text(interval_of(arm)),
            decimal(spread_of(arm, "validation_loss"), 4),
        ]
        for arm in arms
    ]
    return table(header, rows)


def cost_table(arms: Sequence[Arm]) -> Markdown:
    """What each arm cost: seconds of selection and training, padding, peak memory.

    Args:
        arms: the arms, in the order to show.

    Returns:
        The table; the sum counts a selection time that was not measured as not measured, never as zero.
    """
    header = ["arm", "selection (s)", "training (s)", "sum (s)", "padding (%)", "peak memory (MB)"]
    rows = [
        [
            arm.get("name", "?"),
            seconds(spread_of(arm, "selection_seconds")),
            seconds(spread_of(arm, "training_seconds")),
            seconds(total_seconds(arm)),
            scaled(spread_of(arm, "padding_fraction"), 100),
            scaled(spread_of(arm, "peak_memory_bytes"), 1e-6, digits=0),
        ]
        for arm in arms
    ]
    return table(header, rows)


def gates_table(counts: Mapping[str, int], n_rows: int | None = None) -> Markdown:
    """How many rows the gates dropped, by reason.

    Args:
        counts: dropped rows by reason.
        n_rows: rows before the gates, for the share; ``None`` leaves the shares out.

    Returns:
        The table, with a line for the sum.
    """
    lines = [*counts.items(), ("all reasons", sum(counts.values()))]
    if not n_rows:
        return table(["reason", "rows dropped"], [[reason, f"{n:,}"] for reason, n in lines])
    return table(
        ["reason", "rows dropped", "share (%)"],
        [[reason, f"{n:,}", f"{100 * n / n_rows:.1f}"] for reason, n in lines],
    )


def benchmarks_table(arms: Sequence[Arm]) -> Markdown:
    """pass@1 of every arm on every benchmark.

    Args:
        arms: the arms.

    Returns:
        The table; mean ± standard deviation where an arm has several seeds.
    """
    rows = []
    names = benchmark_names(arms)
    for arm in arms:
        found = [record.get("benchmarks") or {} for record in arm.get("per_seed") or ()]
        cells = [spread_of(Arm(per_seed=[of_seed.get(name) or {} for of_seed in found]), "pass_at_1") for name in names]
        rows.append([arm.get("name", "?"), *(decimal(cell, 3) for cell in cells)])
    return table(["arm", *names], rows)


def benchmark_names(arms: Sequence[Arm]) -> list[str]:
    """Names of all benchmarks that an arm was measured on, in the order of the run."""
    records = [record for arm in arms for record in arm.get("per_seed") or ()]
    return list(dict.fromkeys(name for record in records for name in record.get("benchmarks") or {}))


def seeds_table(arms: Sequence[Arm], measure: Measure = "pass_at_1", digits: int = 3) -> Markdown:
    """One measure of every arm, one column for each seed.

    Args:
        arms: the arms; those without ``per_seed`` are left out.
        measure: the name of the measure.
        digits: decimals.

    Returns:
        The table.
    """
    shown = [arm for arm in arms if arm.get("per_seed")]
    n_columns = max((len(arm["per_seed"]) for arm in shown), default=0)
    named = [list(arm.get("seeds") or ()) for arm in shown]
    seeds = next((seeds for seeds in named if len(seeds) == n_columns), list(range(n_columns)))
    rows = []
    for arm in shown:
        cells = [decimal(_one(record, measure), digits) for record in arm["per_seed"]]
        rows.append([arm.get("name", "?"), *cells, *[NOT_MEASURED] * (n_columns - len(cells))])
    return table(["arm", *(f"seed {seed}" for seed in seeds)], rows)


def total_seconds(arm: Arm) -> Spread | None:
    """Selection and training together; ``None`` unless both were measured."""
    selection, training = spread_of(arm, "selection_seconds"), spread_of(arm, "training_seconds")
    if selection is None or training is None:
        return None
    return Spread(selection.mean + training.mean, None, training.n)


def count(spread: Spread | None) -> str:
    """A number of things, with thousands separators: ``1,200``."""
    return scaled(spread, 1, digits=0)


def decimal(spread: Spread | None, digits: int) -> str:
    """A plain decimal: ``0.815`` or ``0.815 ± 0.012``."""
    return scaled(spread, 1, digits=digits)


def seconds(spread: Spread | None) -> str:
    """Seconds: one decimal below 100, none above."""
    return scaled(spread, 1, digits=1 if spread is None or spread.mean < 100 else 0)


def scaled(spread: Spread | None, factor: float, *, digits: int = 1) -> str:
    """A spread in another unit.

    Args:
        spread: mean and standard deviation; ``None`` if it was not measured.
        factor: what to multiply with.
        digits: decimals.

    Returns:
        ``mean`` or ``mean ± sd`` (left out where it is zero), or a dash.
    """
    if spread is None:
        return NOT_MEASURED
    mean = f"{factor * spread.mean:,.{digits}f}"
    return f"{mean} ± {factor * spread.sd:,.{digits}f}" if spread.sd else mean


def interval_text(interval: tuple[float, float] | None) -> str:
    """An interval of a share: ``0.757 to 0.864``."""
    return NOT_MEASURED if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _one(record: Mapping[str, object], measure: Measure) -> Spread | None:
    values = values_of(Arm(per_seed=[record]), measure)
    return Spread(values[0], None, 1) if values else None
