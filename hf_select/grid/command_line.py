"""A command line of dataclasses, with a YAML file below it: the command line wins over the file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_select.errors import ConfigError, unknown_name
from hf_select.experiment.arguments import read_config


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults shown, and the recipe's own lines left as they are."""


def parse_groups(
    argv: Sequence[str] | None,
    groups: Sequence[type[Any]],
    *,
    description: str,
    defaults: Mapping[str, Any],
    default_config: Path,
) -> tuple[Any, ...]:
    """Read the command line and the YAML file it may name.

    Args:
        argv: the words of the command line; ``None`` for the process's own.
        groups: dataclasses whose fields are the arguments.
        description: what ``--help`` says first.
        defaults: values of arguments that differ from those of their dataclass.
        default_config: YAML file that is used when neither ``--config`` nor ``--dataset_name`` is given.

    Returns:
        One object of each group.

    Raises:
        ConfigError: if a file cannot be read, a value has the wrong form, or the models are to be pushed.
        UnknownNameError: if there is no such argument.
    """
    from transformers import HfArgumentParser

    words = list(sys.argv[1:] if argv is None else argv)
    parser = HfArgumentParser(list(groups), description=description, allow_abbrev=False, formatter_class=_HelpFormatter)  # type: ignore[arg-type]  # takes any dataclasses
    parser.add_argument("--config", help="YAML file with any of these arguments; the command line wins over it.")
    parser.set_defaults(**defaults)
    config, words = _config_of(words)
    if config is None and not any(word.split("=")[0] == "--dataset_name" for word in words):
        config = default_config
    known = {action.dest for action in parser._actions if action.dest not in ("help", "config")}
    if config is not None:
        parser.set_defaults(**read_config(config, known))
    for word in words:
        name = word.split("=")[0].removeprefix("--")
        if word.startswith("--") and name not in known | {"help"} and name.removeprefix("no_") not in known:
            raise unknown_name("argument", name, known)
    try:
        parsed = parser.parse_args_into_dataclasses(args=words, look_for_args_file=False)
    except ValueError as error:
        raise ConfigError(f"The arguments cannot be used: {error}") from error
    if any(getattr(group, "push_to_hub", False) for group in parsed[: len(groups)]):
        raise ConfigError(
            "push_to_hub: this recipe trains many models to compare them, and none is meant to be used. Push the rows "
            "of a selection with `hf-select push`, or a model with recipes/codeact.py --push_to_hub True."
        )
    return tuple(parsed[: len(groups)])


def _config_of(words: list[str]) -> tuple[Path | None, list[str]]:
    """Take ``--config FILE`` out of the command line."""
    for place, word in enumerate(words):
        if word.startswith("--config="):
            return Path(word.partition("=")[2]), words[:place] + words[place + 1 :]
        if word == "--config":
            if place + 1 == len(words):
                raise ConfigError("--config needs the path of a YAML file behind it.")
            return Path(words[place + 1]), words[:place] + words[place + 2 :]
    return None, words
