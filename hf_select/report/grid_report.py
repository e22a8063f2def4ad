"""The report of a comparison: two tables, curves, what the selections share, what they cost, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hf_select.overlap import Overlap
from hf_select.report import grid_plots
from hf_select.report.figure import caption_of
from hf_select.report.gate_section import gates_section, leakage_section
from hf_select.report.grid_finding import grid_caveats, grid_findings
from hf_select.report.grid_result import NAMES, RANDOM, Grid
from hf_select.report.grid_tables import budgets_table, differences_table, grid_cost_table, reasons_table, scores_table
from hf_select.report.markup import END_OF_SUMMARY, Markdown, bullets, code_block, escape, table
from hf_select.report.overlap_plot import plot_overlap
from hf_select.report.page import write_pages
from hf_select.report.result import gates_of, sandbox_facts
from hf_select.report.tables import decimal

_LEGEND = (
    "Mean ± standard deviation over the seeds; – = not measured. ↑ better, ↓ worse than random at the same budget "
    "(5 %, adjusted by Holm for the number of methods)."
)


def write_grid_report(
    run_dir: str | Path, results: Mapping[str, Any], overlaps: Mapping[str, Sequence[Overlap]]
) -> Path:
    """Write ``report.md`` and ``report.html``, and the plots with their data into ``plots/``.

    The part before ``<!-- end of summary -->`` stands alone: the tables and what they bear out.

    Args:
        run_dir: folder of the run; made if absent.
        results: the content of ``results.json``.
        overlaps: what the selections of each budget share, one for every seed.

    Returns:
        The path of the report.
    """
    folder, grid = Path(run_dir), Grid.of(results)
    sections = [
        Markdown(f"# Report: {escape(results['recipe'])}, {escape(results['dataset']['name'])}"),
        *_scores(grid),
        escape(_LEGEND),
        Markdown("## What the data bear out"),
        bullets(grid_findings(grid)) or escape("Nothing was compared."),
        END_OF_SUMMARY,
        Markdown("## What this does not show"),
        bullets(grid_caveats(grid, results)),
        *_missing(results),
        Markdown("## What was compared"),
        *_setting(results),
        *_plots(folder, grid, results, overlaps),
        Markdown(f"## What it cost, at {escape(grid.budgets[-1])}"),
        escape(
            "A selection is charged with all it would have needed alone: warm-up, companion models, passes, picking."
        ),
        grid_cost_table(grid, grid.budgets[-1]),
        Markdown("## Every method less random"),
        escape("In brackets: p, and p adjusted by Holm for the number of methods at the budget."),
        *(differences_table(grid, measure) for measure in grid.measures),
        *gates_section(results.get("gates") or {}, results.get("gates_not_checked") or {}, None, ran=gates_of(results)),
        *leakage_section(grid.arms),
        *_how(results),
    ]
    return write_pages(folder, sections)


def _scores(grid: Grid) -> list[Markdown]:
    """One table per measure, with what the whole pool gives below."""
    sections: list[Markdown] = []
    for measure in grid.measures:
        name = NAMES[measure]
        sections += [Markdown(f"## {name[0].upper()}{name[1:]}"), scores_table(grid, measure)]
        if (full := grid.full(measure)) is not None:
            sections.append(escape(f"All rows of the pool: {decimal(full, 3)}."))
    return sections


def _missing(results: Mapping[str, Any]) -> list[Markdown]:
    """Methods that were left out, and cells that failed, with the reason."""
    sections: list[Markdown] = []
    if results["left_out"]:
        sections += [Markdown("## Left out"), reasons_table(results["left_out"])]
    failed: dict[str, str] = {}
    for cell in results["cells"]:
        if cell.get("error"):
            failed.setdefault(f"{cell['method']} at {cell['budget']}, seed {cell['seed']}", cell["error"])
    if failed:
        sections += [Markdown("## Failed"), reasons_table(failed)]
    return sections


def _setting(results: Mapping[str, Any]) -> list[Markdown]:
    """How the rows were divided, in rows."""
    dataset = results["dataset"]
    facts = [[name.removeprefix("n_").replace("_", " "), value] for name, value in dataset.items()]
    rows = [(budget, n, n + dataset["n_labelled"]) for budget, n in results["budget_rows"].items()]
    said = (
        "A budget counts rows of the pool that a method picks. The rows that were labelled before are part of the "
        "pool; no method picks them, the warm-up learned them, and every cell trains on them besides its picks."
    )
    return [table(["rows", "value"], facts, numbers=False), escape(said), budgets_table(rows)]


def _plots(
    folder: Path, grid: Grid, results: Mapping[str, Any], overlaps: Mapping[str, Sequence[Overlap]]
) -> list[Markdown]:
    """Draw what applies and embed it."""
    if find_spec("matplotlib") is None:
        return [Markdown("## Plots"), escape("matplotlib is not installed; pip install 'hf-select[plots]' draws them.")]
    plots, last = folder / "plots", grid.budgets[-1]
    drawn: list[tuple[str, Path]] = []
    for measure in grid.measures:
        name, measured = NAMES[measure], [budget for budget in grid.budgets if _is_measured(grid, budget, measure)]
        if len(measured) > 1:
            path = grid_plots.plot_budget_curves(
                grid, measure, results["budget_rows"], results["families"], plots / f"{measure}_budget_curve.png"
            )
            drawn.append((f"{name} over the budget", path))
        if last in measured:
            path = grid_plots.plot_methods(grid, measure, last, plots / f"{measure}.png")
            drawn.append((f"{name} at {last}", path))
    if overlaps:
        drawn.append(("Rows that selections have in common", plot_overlap(overlaps, plots / "overlap.png")))
    if grid.spread(RANDOM, last, "training_seconds"):
        drawn.append((f"Seconds at {last}", grid_plots.plot_grid_cost(grid, last, plots / "cost.png")))
    return [Markdown("## Plots"), *(_picture(title, path, folder) for title, path in drawn)]


def _is_measured(grid: Grid, budget: str, measure: str) -> bool:
    """Whether a method beside random has a value, without which there is nothing to draw."""
    return any(grid.values(method, budget, measure) for method in grid.methods if method != RANDOM)


def _picture(title: str, path: Path, folder: Path) -> Markdown:
    source = quote(path.relative_to(folder).as_posix())
    data = quote(path.with_suffix(".json").relative_to(folder).as_posix())
    return Markdown(f"![{escape(title)}]({source})\n\n{escape(caption_of(path))} ([data]({data}))")


def _how(results: Mapping[str, Any]) -> list[Markdown]:
    """Command, versions, settings and the configuration of every method."""
    parts = [Markdown("## How it was run"), code_block(str(results["command"]), "bash")]
    for header, values in (
        (["fact", "value"], sandbox_facts(results)),
        (["package", "version"], results["versions"]),
        (["method", "fields"], results["method_fields"]),
        (["setting", "value"], results["config"]),
    ):
        rows = [[name, value] for name, value in values.items() if value is not None]
        parts.append(table(header, rows, numbers=False))
    return parts
