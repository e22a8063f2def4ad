"""``hf-select completion``: a script that completes commands, arguments and names in bash, zsh or fish.

The script is written by shtab, and static: TAB starts no Python. argcomplete would start one for every TAB, and needs a
hook in the program itself.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from hf_select.cli.argument import Parser
from hf_select.cli.console import console
from hf_select.extra import check_extra

_EXAMPLES = """examples:
  source <(hf-select completion bash)  # in this shell; zsh the same
  mkdir -p ~/.local/share/bash-completion/completions
  hf-select completion bash > ~/.local/share/bash-completion/completions/hf-select
  mkdir -p ~/.zfunc  # and in ~/.zshrc, before compinit: fpath+=~/.zfunc
  hf-select completion zsh > ~/.zfunc/_hf-select
  mkdir -p ~/.config/fish/completions
  hf-select completion fish > ~/.config/fish/completions/hf-select.fish

needs shtab: pip install 'hf-select[completion]'
of a list such as --methods the first name is completed
"""
_SHELLS = ("bash", "zsh", "fish")
_FILES = ("dataset_name", "candidates", "labelled", "reference")
_FOLDERS = ("output_dir", "cache_dir", "folder", "checkpoints", "model_name_or_path", "draft_model", "language_model")


def add_command(places: Any) -> Parser:
    """Add the command to the parser.

    Args:
        places: where subcommands go.

    Returns:
        The parser of the command.
    """
    parser: Parser = places.add_parser(
        "completion",
        help="print what completes words in bash, zsh or fish",
        description="Print the script that completes commands, arguments and names of methods in a shell.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("shell", choices=_SHELLS, help="Shell to complete in.")
    return parser


def run(arguments: Namespace) -> None:
    """Print the script.

    Args:
        arguments: the arguments of the command.

    Raises:
        MissingExtraError: if shtab is not installed.
    """
    check_extra("shtab", "hf-select completion")
    import shtab

    from hf_select.cli.command import build

    parser, commands = build()
    for command in commands.values():
        _say_what_is_known(command)
    with console(as_json=False) as voice:
        voice.tell(shtab.complete(parser, arguments.shell).rstrip("\n"), None)


def _say_what_is_known(parser: Parser) -> None:
    """Give the arguments of a command the names that may follow them; to parse with it would refuse lists."""
    import shtab

    names = _names()
    for action in parser._actions:
        if action.dest in names and action.choices is None:
            action.choices = sorted(names[action.dest])
        elif action.dest in _FILES or action.dest in _FOLDERS:
            kind = shtab.FILE if action.dest in _FILES else shtab.DIRECTORY
            action.complete = kind  # type: ignore[attr-defined]  # shtab reads it


def _names() -> dict[str, Iterable[str]]:
    """What may follow an argument, by the argument's name."""
    from hf_select.gates import GATES
    from hf_select.methods import METHODS, Family
    from hf_select.signals.models import TFIDF
    from hf_select.templates import TEMPLATES

    return {
        **dict.fromkeys(("method", "methods", "key"), METHODS),
        "family": [family.value for family in Family],
        "gates": GATES,
        "embedder": [TFIDF],
        "template": TEMPLATES,
    }
