"""The report of a study of a score during training: outcome first, then one section per research question."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hf_select.report.figure import caption_of
from hf_select.report.finding import NOT_EXECUTED
from hf_select.report.gate_plots import leaks_of, plot_dropped, plot_leakage
from hf_select.report.gate_section import gates_section, leakage_section
from hf_select.report.markup import END_OF_SUMMARY, Markdown, bullets, code_block, escape, table
from hf_select.report.page import write_pages
from hf_select.report.result import gates_of, sandbox_facts, values_of
from hf_select.report.study_part import ARMS, QUESTIONS, Part
from hf_select.report.study_result import Results, number, read_losses, record, records, seeds_told
from hf_select.report.study_tables import arms_table, checkpoints_table, tasks_table
from hf_select.report.tables import cost_table

_LEGEND = (
    "Mean ± standard deviation where an arm has several seeds; – = not measured. Validation loss: nats per response "
    "token, mean over tasks, lower is better. Interval: 95 %, of pass@1."
)
_GATED = (
    "A file or a row is gated whole, before windows are cut. Of files, equal ones are taken once and those that share "
    "13 words in a row with a reference task are left out, whatever gates there are."
)
_PAPER = "In the paper (Xing et al. 2026, DIScore; 1.1B parameters, 100B tokens): "


def write_study_report(folder: Path, results: Mapping[str, Any]) -> Path:
    """Write ``report.md`` and ``report.html``, and the plots with their data into ``plots/``.

    The part before ``<!-- end of summary -->`` stands alone: the arms and what every part bears out. A part that was
    not measured is left out, with a line that says why. Without matplotlib the report has tables only and says so.

    Args:
        folder: folder of the run; made if absent.
        results: the content of ``results.json``; any of it may be absent, null or empty.

    Returns:
        The path of the report.
    """
    folder = Path(folder)
    name = record(results, "dataset").get("name")
    arms = ARMS.read(results)
    sections = [
        Markdown(f"# Report: {escape(results.get('recipe') or 'study')}{f', {escape(name)}' if name else ''}"),
        arms_table(arms) if arms else _missing(ARMS, results),
        escape(_LEGEND),
        Markdown("## What the data bear out"),
        bullets(_headlines(results)) or escape("Nothing was compared."),
        END_OF_SUMMARY,
        Markdown("## What this does not show"),
        bullets(_caveats(results)),
        *_left_out(results),
        *_setting(results),
    ]
    for question in QUESTIONS:
        sections.append(Markdown(f"## {escape(question.title)}"))
        for part in question.parts:
            sections += _section(part, results, folder)
    sections += [Markdown("## Does training on the selected rows help?"), *_section(ARMS, results, folder)]
    if arms:
        cost = escape("Selection counts in the sum: trainings before it, passes of the model, picking.")
        sections += [Markdown("## What it cost"), cost, cost_table(arms)]
    sections += _gates(results, folder / "plots")
    return write_pages(folder, [*sections, *_how(results)])


def _gates(results: Results, plots: Path) -> list[Markdown]:
    """What was left out before files were cut, and what leaked all the same."""
    arms, n_before = ARMS.read(results), number(record(results, "dataset").get("n_before_gates"))
    counts, not_checked = (
        {name: int(n) for name, value in record(results, key).items() if (n := number(value)) is not None}
        for key in ("gates", "gates_not_checked")
    )
    n_rows = None if n_before is None else int(n_before)
    dropped, leaked = gates_section(counts, not_checked, n_rows, _GATED, ran=gates_of(results)), leakage_section(arms)
    if find_spec("matplotlib") is not None:
        folder = plots.parent
        if counts and n_rows:
            path = plot_dropped(counts, n_rows, plots / "gates.png")
            dropped.append(_picture("Files that the gates dropped", path, folder))
        if leaks_of(arms):
            path = plot_leakage(arms, plots / "leakage.png")
            leaked.append(_picture("Problems in the rows of every arm", path, folder))
    return [*dropped, *leaked]


def _headlines(results: Results) -> list[Markdown]:
    """The first sentence of every part that was measured; of the arms every sentence."""
    said = [escape(sentence) for sentence in ARMS.say(ARMS.read(results), results)]
    for question in QUESTIONS:
        for part in question.parts:
            if found := part.read(results):
                said += [
                    Markdown(f"**{escape(part.title)}.** {escape(sentence)}")
                    for sentence in part.say(found, results)[:1]
                ]
    return said


def _section(part: Part, results: Results, folder: Path) -> list[Markdown]:
    """One part: what it says, what the paper found, its table and its pictures; or why it is missing."""
    found = part.read(results)
    if not found:
        return [_missing(part, results)]
    sections = [Markdown(f"### {escape(part.title)}")] if part is not ARMS else []
    sections += [escape(sentence) for sentence in part.say(found, results)]
    if part.paper:
        sections.append(escape(_PAPER + part.paper))
    sections += [made for made in part.tabulate(found, results) if made is not None]
    if find_spec("matplotlib") is not None:
        sections += [_picture(title, path, folder) for title, path in part.draw(found, results, folder / "plots")]
    if part.key == "ledgers" and "dynamic" not in read_losses(results, next(iter(found))):
        sections.append(escape("No timeline: the training losses of the dynamic arm were not recorded."))
    return sections


def _missing(part: Part, results: Results) -> Markdown:
    """Why a part is not there."""
    why = record(results, "left_out").get(part.key)
    told = f"left out: {why}" if why else f"not measured (results.json has no usable {part.key!r})."
    return Markdown(f"**{escape(part.title)}**: {escape(told)}")


def _caveats(results: Results) -> list[str]:
    """What holds for every such study, and what this one lacks."""
    seeds = list(results.get("seeds") or ())
    said = [
        "One dataset, one model, one set of hyperparameters: others may give other numbers. The paper's numbers stand "
        "beside them for orientation; its model, data and budget are of another size.",
        "Intervals of correlations are over rows or checkpoints of one training. They do not hold the noise of "
        "another training.",
    ]
    if len(seeds) < 3:
        said.append(
            f"{len(seeds) or 'Unknown number of'} seed{'' if len(seeds) == 1 else 's'}: too few to tell a difference "
            "between trainings from their noise, so none is decided. Three seeds give a t interval."
        )
    elif len(seeds) < 6:
        said.append(
            f"{len(seeds)} seeds: the t interval takes their differences as normal, and sees large differences only."
        )
    said.append("Every interval is at 95 % and none is adjusted for their number: one in twenty misses by chance.")
    if not any(values_of(arm, "pass_at_1") for arm in ARMS.read(results)):
        said.append(NOT_EXECUTED)
    if find_spec("matplotlib") is None:
        said.append("No plots: matplotlib is not installed; pip install 'hf-select[plots]' draws them.")
    return said


def _left_out(results: Results) -> list[Markdown]:
    reasons = record(results, "left_out")
    if not reasons:
        return []
    return [Markdown("## Left out"), table(["what", "reason"], list(reasons.items()), numbers=False)]


def _setting(results: Results) -> list[Markdown]:
    """Data, tasks, seeds and the training whose checkpoints are studied."""
    dataset = record(results, "dataset")
    facts = [
        [key.removeprefix("n_").replace("_", " "), f"{value:,}" if isinstance(value, int) else value]
        for key, value in dataset.items()
        if value is not None and key != "languages"
    ]
    facts += [[f"rows in {language}", n] for language, n in record(dataset, "languages").items() if n is not None]
    facts.append(["seeds", ", ".join(map(str, results.get("seeds") or ())) or "not recorded"])
    sections = [Markdown("## What was studied"), table(["fact", "value"], facts, numbers=False)]
    if (tasks := tasks_table(results)) is not None:
        sections.append(tasks)
    if (checkpoints := checkpoints_table(results)) is not None:
        told = f"Checkpoints of the base training ({seeds_told([records(results, 'training')[0].get('seed')])}):"
        sections += [escape(told), checkpoints]
    return sections


def _picture(title: str, path: Path, folder: Path) -> Markdown:
    source = quote(path.relative_to(folder).as_posix())
    data = quote(path.with_suffix(".json").relative_to(folder).as_posix())
    return Markdown(f"![{escape(title)}]({source})\n\n{escape(caption_of(path))} ([data]({data}))")


def _how(results: Results) -> list[Markdown]:
    """Command, versions and settings."""
    parts = [Markdown("## How it was run"), code_block(str(results.get("command") or "not recorded"), "bash")]
    parts.append(table(["fact", "value"], [[*fact] for fact in sandbox_facts(results).items()], numbers=False))
    for header, key in ((["package", "version"], "versions"), (["setting", "value"], "config")):
        rows = [[name, value] for name, value in record(results, key).items() if value is not None]
        if rows:
            parts.append(table(header, rows, numbers=False))
    return parts
