"""``hf-select compare``: several methods under several budgets on one reading, and what their picks have in common."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.cli.argument import Parser, add_data, add_models, add_output, add_reading
from hf_select.cli.console import console
from hf_select.errors import ConfigError

if TYPE_CHECKING:
    from hf_select.cli.comparison import Comparison

_EXAMPLES = """examples:
  hf-select compare --dataset_name demo --methods core_set,k_means,random --budgets 1%,5%,10% --embedder tfidf \\
      --output_dir compared
  hf-select compare --dataset_name rows.jsonl --methods cdas,ifd,loss --set cdas.n_clusters=20 --budgets 10%,40% \\
      --seeds 0,1,2 --model_name_or_path gpt2 --output_dir by_model --json

writes to the output folder:
  report.html, report.md, overlap.png  what the picks have in common, beside what chance alone would give
  overlap.csv, overlap.json, compare.json  the same for programs
  selections/BUDGET/METHOD/seed-N/  selection.json and scores.parquet of every selection
"""


def add_command(places: Any) -> Parser:
    """Add the command to the parser.

    Args:
        places: where subcommands go.

    Returns:
        The parser of the command.
    """
    parser: Parser = places.add_parser(
        "compare",
        help="compare the picks of several methods",
        usage="hf-select compare --dataset_name NAME --methods KEY,KEY --budgets SIZE,SIZE --output_dir FOLDER [...]",
        description="Pick rows by several methods under several budgets. Every pass runs once, for all of them.",
        epilog=_EXAMPLES,
    )
    group = parser.add_argument_group("selections")
    group.add_argument("--methods", required=True, metavar="KEY,...", help="At least two; see 'hf-select methods'.")
    group.add_argument(
        "--set",
        dest="fields",
        action="append",
        default=[],
        metavar="METHOD.FIELD=VALUE",
        help="A field of one of them, for example cdas.n_clusters=20; again for more.",
    )
    group.add_argument("--budgets", required=True, metavar="SIZE,...", help="For example 1%%,3%%,5%%,10%%.")
    group.add_argument(
        "--seeds", default="0", metavar="N,...", help="Seeds of the picks; passes that draw use the first."
    )
    add_data(parser)
    add_models(parser)
    add_reading(parser)
    add_output(parser)
    return parser


def run(arguments: Namespace) -> None:
    """Check, read once, pick all, write.

    Args:
        arguments: the arguments of the command.
    """
    with console(as_json=arguments.json) as voice:
        from hf_select.budget import Budget
        from hf_select.cli.comparison import Comparison
        from hf_select.cli.field import fields_of
        from hf_select.cli.input import load_inputs
        from hf_select.cli.launch import launched, quiet_libraries
        from hf_select.cli.output import Output
        from hf_select.cli.reading import Reading
        from hf_select.experiment.process import on_main_process

        fields = fields_of(arguments.fields, _methods(arguments.methods))
        budgets = list(dict.fromkeys(Budget.parse(word) for word in _split("budgets", arguments.budgets)))
        seeds = _seeds(arguments.seeds)
        output = Output(Path(arguments.output_dir).expanduser(), arguments.overwrite)
        output.check()
        with quiet_libraries(progress=voice.shows_progress):
            inputs = load_inputs(arguments, fields, budgets, seed=seeds[0], progress=voice.shows_progress)
            with launched():
                arguments.is_checked = True
                comparison = Comparison.of(Reading.of(inputs), seeds)
                on_main_process(lambda: _write(output, arguments, comparison, voice.warnings))
        record = {"output_dir": arguments.output_dir, **comparison.record(voice.warnings)}
        voice.tell(_summary(record, comparison), record)


def _write(output: Any, arguments: Namespace, comparison: Comparison, warned: list[str]) -> None:
    from hf_select.cli.comparison import RECORD_FILE
    from hf_select.cli.comparison_report import write_comparison

    with output.filled(last=RECORD_FILE) as folder:
        write_comparison(folder, arguments.words, comparison, warned)


def _summary(record: dict[str, Any], comparison: Comparison) -> str:
    """The result for people: the overlaps of every budget as plain columns."""
    from hf_select.cli.comparison_report import overlap_lines

    seconds = ", ".join(f"{step} {spent:.1f}" for step, spent in record["seconds"].items()) or "nothing to read"
    lines = [
        f"{len(record['selections'])} selections of {record['n_candidates']:,} candidate rows; seconds: {seconds}.",
        *overlap_lines(comparison),
        "",
        f"In {record['output_dir']}: report.html and .md, overlap.png, .csv and .json, compare.json, selections/",
    ]
    return "\n".join(lines)


def _methods(text: str) -> list[str]:
    names = _split("methods", text)
    if len(names) < 2:
        raise ConfigError(f"--methods {text!r} names one method, and a comparison needs two: '{names[0]},random'.")
    return names


def _seeds(text: str) -> list[int]:
    words = _split("seeds", text)
    if not all(word.isdecimal() for word in words):
        raise ConfigError(f"--seeds {text!r} is not a list of whole numbers such as '0,1,2'.")
    return [int(word) for word in words]


def _split(name: str, text: str) -> list[str]:
    """A list separated by commas, each once."""
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        raise ConfigError(f"--{name} {text!r} is empty; give values separated by commas.")
    return words
