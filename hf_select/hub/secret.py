"""Secrets in what is about to be published: found by their form, or by being a secret of this very process.

A finding names the place and the kind, never the value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import get_token

from hf_select.errors import SecretError

if TYPE_CHECKING:
    from datasets import Dataset

_TOKENS = {
    "a Hugging Face token": r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_\-]{20,}",
    "an API key (sk-)": r"\bsk-(?=[\w\-]*\d)(?:[A-Za-z0-9]+-){0,3}[A-Za-z0-9_]{16,}",
    "an AWS access key": r"\b(?:AKIA|ASIA)(?![0-9A-Z]{9}EXAMPLE\b)[0-9A-Z]{16}\b",
    "an AWS secret key": r"(?i:aws_?secret_?(?:access_?)?key)\W{1,5}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9\-]{10,}",
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
}
_HOME = {
    "an absolute path below a home folder": (
        r"(?<![\w.])(?:/home/[\w.\-]+|/Users/[\w.\-]+|/root)(?=[/\s\"'`,:;)\]]|$)|\b[A-Za-z]:\\+Users\\+[\w.\-]+"
    ),
}
_TOKEN_FORMS = {kind: re.compile(form) for kind, form in _TOKENS.items()}
_TEXT_FORMS = {**_TOKEN_FORMS, **{kind: re.compile(form) for kind, form in _HOME.items()}}
_ANY_TOKEN = re.compile("|".join(f"(?:{form})" for form in _TOKENS.values()))
_SECRET_NAME = re.compile(r"(?:^|_)(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:_|$)", re.IGNORECASE)
_MIN_LENGTH = 12  # a shorter value, such as "true", stands in any text by chance


def own_secrets(token: str | None = None) -> dict[str, str]:
    """The secrets of this process by where they come from: its token of the Hub, and environment variables.

    Args:
        token: a token that was given as an argument.

    Returns:
        Their values; those that are too short to be told from a word are left out.
    """
    found = {f"the value of {name}": text for name, text in os.environ.items() if _SECRET_NAME.search(name)}
    found |= {"your token of the Hub": token or get_token() or ""}
    return {place: text for place, text in found.items() if len(text) >= _MIN_LENGTH and not _is_path(text)}


def check_text(name: str, text: str, secrets: Mapping[str, str]) -> None:
    """Refuse to publish a text that holds a secret or the path of somebody's home folder.

    Args:
        name: of the file, for the message.
        text: its content.
        secrets: as ``own_secrets`` gives them.

    Raises:
        SecretError: if it does.
    """
    home = Path.home()
    forms = dict(_TEXT_FORMS)
    if len(home.parts) > 1:
        forms["an absolute path below your home folder"] = re.compile(r"(?<![\w.])" + re.escape(str(home)) + r"\b")
    for kind, place in _found(text, forms, secrets):
        line = text.count("\n", 0, place) + 1
        raise SecretError(
            f"{name}, line {line}, holds what looks like {kind}; nothing was uploaded. Take it out of the file or the "
            f"setting it comes from (a relative path, a Hub id, a token from 'hf auth login') and push again."
        )


def check_file(name: str, path: Path, secrets: Mapping[str, str]) -> None:
    """Refuse to publish a file that is no text to be read, or that people write paths in, where it holds a secret.

    Of weights in safetensors the header alone is looked at: the rest are numbers.

    Args:
        name: of the file, for the message.
        path: where it lies.
        secrets: as ``own_secrets`` gives them.

    Raises:
        SecretError: if it does.
    """
    with path.open("rb") as file:
        is_weights = path.suffix == ".safetensors"
        n_bytes = min(int.from_bytes(file.read(8), "little"), path.stat().st_size) if is_weights else -1
        text = file.read(n_bytes).decode("utf-8", "replace")
    for kind, _ in _found(text, _TOKEN_FORMS, secrets):
        raise SecretError(
            f"{name} holds what looks like {kind}; nothing was uploaded. Take it out of the file or of what wrote it, "
            f"and push again."
        )


def check_schema(dataset: Dataset, secrets: Mapping[str, str]) -> None:
    """Refuse to publish rows whose columns, or the names of whose classes, are secrets: every file of them tells those.

    Args:
        dataset: the rows.
        secrets: as ``own_secrets`` gives them.

    Raises:
        SecretError: if one is.
    """
    for column, feature in dataset.features.items():
        for kind, _ in _found(f"{column} {feature!r}", _TOKEN_FORMS, secrets):
            raise SecretError(
                f"A column of the rows (number {dataset.column_names.index(column)}), by its name or those of its "
                f"classes, holds what looks like {kind}; nothing was uploaded. Rename it and push again."
            )


def check_rows(dataset: Dataset, secrets: Mapping[str, str]) -> None:
    """Refuse to publish rows that hold a secret.

    Args:
        dataset: the rows.
        secrets: as ``own_secrets`` gives them.

    Raises:
        SecretError: if one does.
    """
    start = 0
    for table in dataset.with_format("arrow").iter(batch_size=1000):
        for column, values in table.to_pydict().items():
            for offset, text in ((offset, text) for offset, value in enumerate(values) for text in _texts(value)):
                kinds = _found(text, _TOKEN_FORMS, secrets) if _is_suspect(text, secrets) else iter(())
                for kind, _ in kinds:
                    raise SecretError(
                        f"Row {start + offset} (as pushed), column {column!r}, holds what looks like {kind}; nothing "
                        f"was uploaded. Take the row out, or, where such rows are harmless examples, push with "
                        f"check_rows=False (--no_row_check)."
                    )
        start += table.num_rows


def _is_path(text: str) -> bool:
    """Whether a value names a file: the path of a key is no key."""
    return len(text) < 256 and Path(text).exists()


def _is_suspect(text: str, secrets: Mapping[str, str]) -> bool:
    """Whether any form is found, in one go."""
    return _ANY_TOKEN.search(text) is not None or any(secret in text for secret in secrets.values())


def _found(text: str, forms: Mapping[str, re.Pattern[str]], secrets: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Kind and place of everything that is found; values of this process first."""
    for place, secret in secrets.items():
        if secret in text:
            yield place, text.index(secret)
    for kind, form in forms.items():
        if match := form.search(text):
            yield kind, match.start()


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value of a row; bytes may be text too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
