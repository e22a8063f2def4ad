"""The commands, and the words of a command line read into arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hf_select import __version__
from hf_select.cli import compare, completion, methods, push, select
from hf_select.cli.argument import Parser
from hf_select.cli.ending import STATUSES
from hf_select.errors import unknown_name

_EXAMPLES = """examples:
  hf-select methods --family quality
  hf-select methods cdas
  hf-select select --dataset_name rows.jsonl --method cdas --budget 40% \\
      --model_name_or_path deepseek-ai/deepseek-coder-1.3b-base --output_dir kept
  hf-select compare --dataset_name rows.jsonl --methods ifd,loss,random --budgets 1%,5%,10% \\
      --model_name_or_path gpt2 --output_dir compared
  hf-select push kept --dataset_name rows.jsonl --repo_id me/rows-selected --config_name cdas-40

several processes:
  accelerate launch -m hf_select.cli select --dataset_name rows.jsonl --method ifd --budget 40% \\
      --model_name_or_path gpt2 --output_dir by_ifd
"""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line.

    Args:
        words: the words after the program's name.

    Returns:
        The arguments; ``run`` is the function of the command, which takes them, and ``words`` is the command line.

    Raises:
        ConfigError: if an argument is missing or has the wrong form.
        UnknownNameError: if there is no such command or argument.
    """
    parser, commands = build()
    command = words[0] if words else ""
    if command and not command.startswith("-") and command not in commands:
        raise unknown_name("command", command, commands)
    (commands.get(command) or parser).check_names(words)
    return parser.parse_args(list(words), argparse.Namespace(words=list(words)))


def build() -> tuple[Parser, dict[str, Parser]]:
    """Make the parser.

    Returns:
        The parser, and those of the commands by their names.
    """
    parser = Parser(
        prog="hf-select",
        description="Pick the rows of a dataset that are worth training on.",
        epilog=f"{_EXAMPLES}\n{STATUSES}",
    )
    parser.add_argument("--version", action="version", version=f"hf-select {__version__}")
    places = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands: dict[str, Parser] = {}
    for module in (methods, select, compare, push, completion):
        name = module.__name__.rpartition(".")[2]
        commands[name] = module.add_command(places)
        commands[name].set_defaults(run=module.run, is_checked=False)
    return parser, commands
