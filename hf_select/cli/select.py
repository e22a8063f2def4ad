"""``hf-select select``: one method, one budget; the picks with how they came to be, plots and a short report."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.cli.argument import Parser, add_data, add_models, add_output, add_reading, seed
from hf_select.cli.console import console
from hf_select.cli.gate import add_gates, check_gates, through_gates

if TYPE_CHECKING:
    from hf_select.cli.reading import Reading
    from hf_select.selection import Selection

_EXAMPLES = """examples:
  hf-select select --dataset_name demo --method core_set --budget 10% --embedder tfidf --output_dir kept
  hf-select select --dataset_name qa.jsonl --columns prompt=question,response=answer --method cdas \\
      --set n_clusters=20 --budget 40% --model_name_or_path gpt2 --output_dir by_cdas --save_dataset
  hf-select select --dataset_name qa.jsonl --columns prompt=question,response=answer --method core_set \\
      --embedder tfidf --labelled by_cdas --budget 10 --output_dir next_round --json
  hf-select select --dataset_name rows.jsonl --gates duplicates,parses --method length --budget 20% --output_dir gated

writes to the output folder:
  selection.json  how the rows were picked; scores.parquet  row ids with their scores, best first
  report.html, report.md and plots/; subset.parquet or subset.jsonl with --save_dataset
"""


def add_command(places: Any) -> Parser:
    """Add the command to the parser.

    Args:
        places: where subcommands go.

    Returns:
        The parser of the command.
    """
    parser: Parser = places.add_parser(
        "select",
        help="pick rows of a dataset",
        usage="hf-select select --dataset_name NAME --method KEY --budget SIZE --output_dir FOLDER [...]",
        description="Pick rows of a dataset under a budget.",
        epilog=_EXAMPLES,
    )
    group = parser.add_argument_group("selection")
    group.add_argument("--method", required=True, metavar="KEY", help="How to pick; see 'hf-select methods'.")
    group.add_argument(
        "--set",
        dest="fields",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="A field of the method, for example n_clusters=20; again for more.",
    )
    group.add_argument("--budget", required=True, metavar="SIZE", help="40%%, 5000, 1/3, '2M tokens', ...")
    group.add_argument("--seed", type=seed, default=0, metavar="N", help="The only source of randomness.")
    add_data(parser)
    add_gates(parser)
    add_models(parser)
    add_reading(parser)
    add_output(parser).add_argument(
        "--save_dataset",
        nargs="?",
        const="parquet",
        choices=("parquet", "jsonl"),
        help="Write the picked rows too, in selection order.",
    )
    return parser


def run(arguments: Namespace) -> None:
    """Check, read, pick, write.

    Args:
        arguments: the arguments of the command.
    """
    with console(as_json=arguments.json) as voice:
        from hf_select.budget import Budget
        from hf_select.cli.field import fields_of
        from hf_select.cli.input import load_inputs
        from hf_select.cli.launch import launched, quiet_libraries
        from hf_select.cli.output import Output
        from hf_select.cli.reading import Reading
        from hf_select.experiment.process import on_main_process

        fields = fields_of(arguments.fields, [arguments.method])
        budget = Budget.parse(arguments.budget)
        output = Output(Path(arguments.output_dir).expanduser(), arguments.overwrite)
        output.check()
        check_gates(arguments)
        with quiet_libraries(progress=voice.shows_progress):
            inputs = load_inputs(arguments, fields, [budget], seed=arguments.seed, progress=voice.shows_progress)
            with launched():
                arguments.is_checked = True
                inputs, gated = through_gates(inputs, arguments)
                reading = Reading.of(inputs)
                selection = reading.select(inputs.methods[arguments.method], budget, arguments.seed)
                if gated:
                    selection = replace(selection, provenance={**selection.provenance, "gates": gated})
                files = on_main_process(lambda: _write(output, arguments, reading, selection, voice.warnings))
        record = _record(arguments, selection, files, voice.warnings)
        voice.tell(_summary(record), record)


def _write(output: Any, arguments: Namespace, reading: Reading, selection: Selection, warned: list[str]) -> list[str]:
    """Write everything; give the names of the files."""
    from hf_select.cli.picture import draw_selection
    from hf_select.selection import SELECTION_FILE

    method = reading.inputs.methods[arguments.method]
    with output.filled(last=SELECTION_FILE) as folder:
        selection.save(folder)
        if arguments.save_dataset:
            subset = selection.apply(reading.inputs.extraction.dataset)
            path = str(folder / f"subset.{arguments.save_dataset}")
            subset.to_parquet(path) if arguments.save_dataset == "parquet" else subset.to_json(path, force_ascii=False)
        pictures = draw_selection(reading, method, selection, folder / "plots")
        _write_report(folder, arguments.words, reading, selection, pictures, warned)
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _write_report(
    folder: Path,
    words: list[str],
    reading: Reading,
    selection: Selection,
    pictures: list[tuple[str, Path]],
    warned: list[str],
) -> None:
    from hf_select.cli.picture import MISSING_EXTRA, embedded_picture
    from hf_select.cli.record import excluded_rows, how_it_was_run, notes_section, seconds_table
    from hf_select.report.gate_section import gates_section
    from hf_select.report.markup import Markdown, escape, table
    from hf_select.report.page import write_pages

    told = selection.provenance
    gated = told.get("gates", {})
    method = {name: value for name, value in told["method"].items() if name != "name"}
    notes = [*excluded_rows(told["excluded"]), *warned]
    if find_spec("matplotlib") is None:
        notes.append(MISSING_EXTRA)
    sections = [
        Markdown(f"# Selection: {escape(told['method']['name'])}, {escape(told['budget'])}"),
        escape(
            f"{len(selection):,} of {told['n_candidates']:,} candidate rows were kept ({told['n_asked']:,} asked for), "
            f"seed {told['seed']}. Row ids and scores: scores.parquet; provenance: selection.json."
        ),
        *notes_section(notes),
        *([Markdown("## Plots")] if pictures else []),
        *(embedded_picture(title, path, folder) for title, path in pictures),
        *gates_section(gated.get("counts", {}), gated.get("not_checked", {}), selection.n_rows),
        Markdown("## What it cost"),
        seconds_table({**reading.seconds, "pick": told["seconds"]["pick"]}),
        *([Markdown("## Fields"), table(["field", "value"], list(method.items()), numbers=False)] if method else []),
        *how_it_was_run(words, reading),
    ]
    write_pages(folder, sections)


def _record(arguments: Namespace, selection: Selection, files: list[str], warned: list[str]) -> dict[str, Any]:
    """The result as plain data."""
    told = selection.provenance
    return {
        "output_dir": arguments.output_dir,
        "method": told["method"],
        "budget": told["budget"],
        "seed": told["seed"],
        "n_rows": selection.n_rows,
        "n_candidates": told["n_candidates"],
        "n_asked": told["n_asked"],
        "n_picked": len(selection),
        "excluded": told["excluded"],
        "gates": told.get("gates", {}),
        "seconds": told["seconds"],
        "files": files,
        "warnings": list(warned),
    }


def _summary(record: dict[str, Any]) -> str:
    """The result for people."""
    seconds = record["seconds"]
    lines = [
        f"{record['method']['name']} kept {record['n_picked']:,} of {record['n_candidates']:,} rows "
        f"({record['budget']} asked for, seed {record['seed']}).",
        *(f"Dropped by the gates: {n:,} rows, {reason}." for reason, n in record["gates"].get("counts", {}).items()),
        *(f"Not eligible: {n_rows:,} rows, {reason}." for reason, n_rows in record["excluded"].items()),
        f"Seconds: {seconds['extract']:.1f} to read, {seconds['pick']:.1f} to pick.",
        f"In {record['output_dir']}: {', '.join(name for name in record['files'] if not name.startswith('plots/'))}"
        + (", plots/" if any(name.startswith("plots/") for name in record["files"]) else ""),
    ]
    return "\n".join(lines)
