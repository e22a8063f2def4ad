"""The report of a run: what came out, what it cost, what the data bear out, and how to repeat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hf_select.report import arm_plots, selection_plots
from hf_select.report.cost_plot import has_cost_curve, plot_cost_curve
from hf_select.report.figure import caption_of
from hf_select.report.finding import NOT_EXECUTED, caveats, findings
from hf_select.report.gate_plots import leaks_of, plot_dropped, plot_leakage
from hf_select.report.gate_section import gates_section, leakage_section
from hf_select.report.markup import END_OF_SUMMARY, Markdown, bullets, code_block, escape, table
from hf_select.report.page import write_pages
from hf_select.report.result import Arm, Measure, Results, sandbox_facts, values_of
from hf_select.report.tables import (
    benchmark_names,
    benchmarks_table,
    cost_table,
    outcome_table,
    seeds_table,
)
from hf_select.signals.keys import Floats, Integers, Mask

_LEGEND = (
    "Mean ± standard deviation where an arm has several seeds; – = not measured. pass@1: share of problems whose first "
    "program passes all tests; validation loss: nats per response token, lower is better."
)


@dataclass(frozen=True)
class SelectionView:
    """One selection as its plots show it; what is ``None`` is not drawn.

    Attributes:
        name: names the files and the section, for example the arm.
        kept: ``(N,)`` bool, rows that were picked.
        scores: ``(N,)`` score of every row, NaN where it has none.
        score_name: what the score is.
        score_unit: its unit.
        threshold: where the method cuts.
        strata: ``(N,)`` cluster, source or origin of every row.
        strata_name: what a stratum is.
        row_tokens: ``(N,)`` tokens of every row.
        vectors: ``(N, D)`` embedding of every row.
        tokenizer: whose tokens were counted.
        seed: seed of the selection.
    """

    name: str
    kept: Mask
    scores: Floats | None = None
    score_name: str = "score"
    score_unit: str = ""
    threshold: float | None = None
    strata: Sequence[object] | None = None
    strata_name: str = "stratum"
    row_tokens: Integers | None = None
    vectors: Floats | None = None
    tokenizer: str = ""
    seed: int = 0


def write_report(
    run_dir: str | Path, results: Mapping[str, Any], *, views: Sequence[SelectionView] = (), notes: Sequence[str] = ()
) -> Path:
    """Write ``report.md`` and ``report.html``, and the plots with their data into ``plots/``.

    The part before ``<!-- end of summary -->`` stands alone: outcome and findings. Without matplotlib the report has
    tables only and says so.

    Args:
        run_dir: folder of the run; made if absent.
        results: the content of ``results.json``, see ``hf_select.report.result.Results``.
        views: selections to draw.
        notes: further caveats of the recipe.

    Returns:
        The path of the report.
    """
    folder = Path(run_dir)
    found: Results = results  # type: ignore[assignment]  # plain data, read with .get throughout
    arms = found.get("arms") or ()
    sections = [
        Markdown(f"# Report: {escape(found.get('recipe', 'run'))}"),
        outcome_table(arms),
        escape(_LEGEND),
        Markdown("## What the data bear out"),
        bullets(findings(found)) or escape("Nothing was compared."),
        END_OF_SUMMARY,
        Markdown("## What this does not show"),
        bullets([*caveats(found), *notes]) or escape("No caveat applies beyond those of any experiment."),
        *_plots(folder, found, views),
        Markdown("## What it cost"),
        escape("Selection counts in the sum: passes of the model, gates and picking."),
        cost_table(arms),
        *_details(found),
        *_how(found),
    ]
    return write_pages(folder, sections)


def _plots(folder: Path, results: Results, views: Sequence[SelectionView]) -> list[Markdown]:
    """Draw what applies and embed it; say why something is missing."""
    if find_spec("matplotlib") is None:
        return [Markdown("## Plots"), escape("matplotlib is not installed; pip install 'hf-select[plots]' draws them.")]
    arms = results.get("arms") or ()
    n_rows = (results.get("dataset") or {}).get("n_rows")
    plots = folder / "plots"
    drawn: list[tuple[str, Path]] = []
    missing: list[str] = []

    def measured(measure: Measure) -> bool:
        return any(values_of(arm, measure) for arm in arms)

    if measured("pass_at_1"):
        drawn.append(("pass@1 of every arm", arm_plots.plot_pass_at_1(arms, plots / "pass_at_1.png")))
        if arm_plots.budget_curves(arms):
            curve = arm_plots.plot_budget_curve(arms, plots / "budget_curve.png", n_rows=n_rows)
            drawn.append(("pass@1 over the budget", curve))
    else:
        missing.append(f"No plot of pass@1: {NOT_EXECUTED}")
    others: tuple[tuple[Measure, str, Callable[[Sequence[Arm], Path], Path]], ...] = (
        ("validation_loss", "Validation loss of every arm", arm_plots.plot_validation_loss),
        ("training_seconds", "Time and memory of every arm", arm_plots.plot_cost),
        ("padding_fraction", "Padding of every arm", arm_plots.plot_padding),
    )
    for measure, title, draw in others:
        if measured(measure):
            drawn.append((title, draw(arms, plots / f"{measure}.png")))
        else:
            missing.append(f"No plot of {measure.replace('_', ' ')}: no arm has a value.")
    drawn += _shared_plots(plots, results)
    for number, view in enumerate(views):
        drawn += _view_plots(plots, number, view)
    pictures = [_picture(title, path, folder) for title, path in drawn]
    return [Markdown("## Plots"), *pictures, *([bullets(missing)] if missing else [])]


def _shared_plots(plots: Path, results: Results) -> list[tuple[str, Path]]:
    """What all arms share: what was reached over what it took, what gates dropped, what leaked."""
    arms, drawn = results.get("arms") or (), []
    measures: tuple[Measure, ...] = ("pass_at_1", "validation_loss")
    if reached := next((measure for measure in measures if has_cost_curve(arms, measure)), None):
        drawn.append(("What was reached, over what it took", plot_cost_curve(arms, reached, plots / "cost_curve.png")))
    counts, n_rows = results.get("gates") or {}, _rows_before_gates(results)
    if counts and n_rows:
        drawn.append(("Rows that the gates dropped", plot_dropped(counts, n_rows, plots / "gates.png")))
    if leaks_of(arms):
        drawn.append(("Benchmark problems in the rows of every arm", plot_leakage(arms, plots / "leakage.png")))
    return drawn


def _rows_before_gates(results: Results) -> int | None:
    """Rows that met the gates, those of all seeds together."""
    n_rows = (results.get("dataset") or {}).get("n_rows")
    return n_rows * _most_seeds(results) if n_rows else None


def _most_seeds(results: Results) -> int:
    return max((len(arm.get("seeds") or ()) for arm in results.get("arms") or ()), default=1) or 1


def _view_plots(plots: Path, number: int, view: SelectionView) -> list[tuple[str, Path]]:
    drawn = []
    stem = f"selection_{number}"
    if view.scores is not None:
        path = selection_plots.plot_scores(
            view.scores, view.kept, plots / f"{stem}_scores.png",
            name=view.score_name, unit=view.score_unit, threshold=view.threshold, seed=view.seed,
        )  # fmt: skip
        drawn.append((f"{view.name}: {view.score_name} of kept and dropped rows", path))
    if view.strata is not None:
        path = selection_plots.plot_strata(
            view.strata, view.kept, plots / f"{stem}_strata.png", name=view.strata_name, seed=view.seed
        )
        drawn.append((f"{view.name}: kept and dropped rows by {view.strata_name}", path))
    if view.row_tokens is not None:
        path = selection_plots.plot_lengths(
            view.row_tokens, view.kept, plots / f"{stem}_lengths.png", tokenizer=view.tokenizer, seed=view.seed
        )
        drawn.append((f"{view.name}: row lengths before and after", path))
    if view.vectors is not None:
        path = selection_plots.plot_embedding(view.vectors, view.kept, plots / f"{stem}_map.png", seed=view.seed)
        drawn.append((f"{view.name}: rows in the plane of their embeddings", path))
    return drawn


def _picture(title: str, path: Path, folder: Path) -> Markdown:
    source = quote(path.relative_to(folder).as_posix())
    data = quote(path.with_suffix(".json").relative_to(folder).as_posix())
    return Markdown(f"![{escape(title)}]({source})\n\n{escape(caption_of(path))} ([data]({data}))")


def _details(results: Results) -> list[Markdown]:
    """Gates, benchmarks and single seeds, as far as there are any."""
    arms = results.get("arms") or ()
    sections: list[Markdown] = []
    n_seeds = _most_seeds(results)
    sections += gates_section(
        results.get("gates") or {},
        results.get("gates_not_checked") or {},
        _rows_before_gates(results),
        f"Over {n_seeds} seed{'s' if n_seeds > 1 else ''}.",
    )
    sections += leakage_section(arms)
    names = benchmark_names(arms)
    if len(names) > 1:
        first = escape(f"pass@1 by benchmark; tables and plots elsewhere show the first, {names[0]}.")
        sections += [Markdown("## Benchmarks"), first, benchmarks_table(arms)]
    if max((len(arm.get("per_seed") or ()) for arm in arms), default=0) > 1:
        measure: Measure = "pass_at_1" if any(values_of(arm, "pass_at_1") for arm in arms) else "validation_loss"
        title = escape(measure.replace("pass_at_1", "pass@1").replace("_", " "))
        sections += [Markdown(f"## Every seed: {title}"), seeds_table(arms, measure)]
    return sections


def _how(results: Results) -> list[Markdown]:
    """Data, command, versions and settings."""
    dataset = results.get("dataset") or {}
    facts = {**dataset, "planted junk": _percent(results.get("junk_fraction")), "created": results.get("created")}
    facts |= sandbox_facts(results)
    parts = [Markdown("## How it was run"), code_block(str(results.get("command", "not recorded")), "bash")]
    for header, values in (
        (["fact", "value"], facts),
        (["package", "version"], results.get("versions") or {}),
        (["setting", "value"], results.get("config") or {}),
    ):
        rows = [[name, value] for name, value in values.items() if value is not None]
        if rows:
            parts.append(table(header, rows, numbers=False))
    return parts


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100 * fraction:.0f} %"
