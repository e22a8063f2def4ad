"""``hf-select methods``: what there is to choose from, and one method in full."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hf_select.cli.argument import Parser
from hf_select.cli.console import console
from hf_select.errors import unknown_name

if TYPE_CHECKING:
    from hf_select.methods import Method

_EXAMPLES = """examples:
  hf-select methods
  hf-select methods --family quality --task causal_lm
  hf-select methods cdas
  hf-select methods --json
"""
_LEGEND = (
    "scorer: judges every row alone; set: judges rows together. Passes run once, however many methods need them. "
    "'hf-select methods KEY' shows one in full."
)
_HEADER = ("key", "family", "kind", "tasks", "passes", "needs", "source")


def add_command(places: Any) -> Parser:
    """Add the command to the parser.

    Args:
        places: where subcommands go.

    Returns:
        The parser of the command.
    """
    parser: Parser = places.add_parser(
        "methods",
        help="list the methods, or show one in full",
        description="List the methods, or show one in full.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("key", nargs="?", metavar="KEY", help="Show this method in full.")
    parser.add_argument("--family", metavar="NAME", help="Only methods of this family.")
    parser.add_argument("--task", choices=("causal_lm", "classification"), help="Only methods for this kind of model.")
    parser.add_argument("--json", action="store_true", help="JSON on the standard output.")
    return parser


def run(arguments: Namespace) -> None:
    """List the methods, or show one.

    Args:
        arguments: the arguments of the command.

    Raises:
        UnknownNameError: if there is no such method or family.
    """
    from hf_select.methods import METHODS, Family

    if arguments.key is not None and arguments.key not in METHODS:
        raise unknown_name("method", arguments.key, METHODS)
    families = [family.value for family in Family]
    if arguments.family is not None and arguments.family not in families:
        raise unknown_name("family", arguments.family, families)
    with console(as_json=arguments.json) as voice:
        if arguments.key is not None:
            record = describe(METHODS[arguments.key], arguments.task)
            voice.tell(_in_full(record, METHODS[arguments.key]), record)
            return
        records = [describe(method, arguments.task) for method in METHODS.values()]
        shown = [
            record
            for record in records
            if arguments.family in (None, record["family"]) and arguments.task in (None, *record["tasks"])
        ]
        voice.tell(_table(shown), shown)


def describe(method: type[Method], task: str | None = None) -> dict[str, Any]:
    """A method as plain data.

    Args:
        method: its class.
        task: the kind of model to say the needs for; by default the first that the method serves.

    Returns:
        Key, family, kind, tasks, needs, passes, fields and the sections of its docstring.
    """
    from hf_select.methods import Scorer, make_for
    from hf_select.methods.catalogue import sections
    from hf_select.signals.keys import Task

    served = [known for known in Task if known in method.tasks]
    made = make_for(method.name, Task(task) if task and Task(task) in served else served[0])
    text = {name: " ".join(part.split()) for name, part in sections(method).items() if name != "Attributes"}
    return {
        "key": method.name,
        "family": method.family.value,
        "kind": "scorer" if issubclass(method, Scorer) else "set",
        "ordered": method.ordered,
        "tasks": [known.value for known in served],
        "unsuited": {known.value: why for known, why in method.unsuited.items()},
        "passes": sorted({signal.read_in.value for signal in (*made.needs, *made.reference_needs)}),
        "needs": sorted({_bare_name(signal.name, signal.option) for signal in made.needs}),
        "needs_reference": made.needs_reference,
        "cost": text.get("Cost", ""),
        "source": method.citation or text.get("Source", ""),
        "summary": text[""],
        "higher_means": text.get("Higher means", ""),
        "differs_from_the_source": text.get("Differs from the source", ""),
        "fields": {
            field.name: {"default": getattr(made, field.name), "meaning": _meanings(method).get(field.name, "")}
            for field in fields(method)  # type: ignore[arg-type]  # every method is a dataclass
        },
    }


def _bare_name(name: str, option: str) -> str:
    """The name of a signal without its parameters."""
    first = re.match(r'\{"(\w+)"', option)
    return name.partition(f"_{first[1]}_")[0] if first else name


def _meanings(method: type[Method]) -> dict[str, str]:
    """What the docstring says of each field."""
    from hf_select.methods.catalogue import sections

    pairs = re.findall(r"^(\w+): (.*(?:\n +.*)*)", sections(method).get("Attributes", ""), re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in pairs}


def _table(records: Sequence[dict[str, Any]]) -> str:
    """The methods in columns; on a terminal the last one is cut to its width."""
    lines: list[Sequence[str]] = [
        _HEADER,
        *(
            (
                record["key"],
                record["family"],
                record["kind"],
                "both" if len(record["tasks"]) == 2 else record["tasks"][0],
                ", ".join(record["passes"]) or "none",
                ", ".join(record["needs"]) + (" + reference rows" if record["needs_reference"] else ""),
                record["source"],
            )
            for record in records
        ),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER) - 1)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    rows = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=True)]
        text = "  ".join([*cells, line[-1]]).rstrip()
        rows.append(text if len(text) <= room else text[: room - 1] + "…")
    return "\n".join([*rows, "", f"{len(records)} methods. {_LEGEND}"])


def _in_full(record: dict[str, Any], method: type[Method]) -> str:
    """One method for people: its docstring, its fields with their defaults, what it serves."""
    from hf_select.methods.catalogue import SECTIONS, sections

    text = sections(method)
    head = (
        f"{record['key']} ({record['family']}, {record['kind']}, {'ordered' if record['ordered'] else 'not ordered'})"
    )
    parts = [head, text[""]]
    if record["fields"]:
        rows = [
            textwrap.fill(f"{name} = {field['default']!r}: {field['meaning']}", 100, initial_indent="  ",
                          subsequent_indent="      ")
            for name, field in record["fields"].items()
        ]  # fmt: skip
        parts.append("\n".join(["Fields (--set name=value):", *rows]))
    parts += [f"{name}:\n{textwrap.indent(text[name], '  ')}" for name in SECTIONS if name in text]
    parts.append(f"Tasks: {', '.join(record['tasks'])}" + "".join(
        f"\n  not {task}: {why}" for task, why in record["unsuited"].items()
    ))  # fmt: skip
    if record["needs_reference"]:
        parts.append("Aims at reference rows: --reference.")
    return "\n\n".join(part.replace("``", "`") for part in parts)
