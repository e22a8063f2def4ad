"""Packages that only some users need: which extra brings which, and what to say where one is missing.

Every place that uses such a package asks here, so that all of them say the same: what wants the package, and the
``pip install`` that brings it.
"""

from __future__ import annotations

import importlib.util
from types import MappingProxyType

from hf_select.errors import MissingExtraError

EXTRAS = MappingProxyType(
    {
        "matplotlib": ("matplotlib", "plots"),
        "sentence_transformers": ("sentence-transformers", "embeddings"),
        "faiss": ("faiss-cpu", "fast"),
        "datasketch": ("datasketch", "gates"),
        "pyflakes": ("pyflakes", "gates"),
        "tree_sitter_language_pack": ("tree-sitter-language-pack", "gates"),
        "shtab": ("shtab", "completion"),
    }
)
"""Module -> (package, extra), as in ``pyproject.toml``."""


def install_command(module: str) -> str:
    """What brings a package.

    Args:
        module: its module, a key of ``EXTRAS``.

    Returns:
        For example ``pip install 'hf-select[plots]'``.
    """
    return f"pip install 'hf-select[{EXTRAS[module][1]}]'"


def missing_extra(module: str, what: str, otherwise: str = "") -> MissingExtraError:
    """The error for a package that is not installed.

    Args:
        module: its module, a key of ``EXTRAS``.
        what: what needs it, as the start of a sentence, for example ``"A plot"``.
        otherwise: a sentence about what can be done without it.

    Returns:
        The error, ready to be raised.
    """
    message = f"{what} needs {EXTRAS[module][0]}, which is not installed: {install_command(module)}."
    return MissingExtraError(f"{message} {otherwise}".rstrip())


def check_extra(module: str, what: str, otherwise: str = "") -> None:
    """Refuse work for which a package is missing, without importing the package.

    Args:
        module: its module, a key of ``EXTRAS``.
        what: what needs it, as the start of a sentence.
        otherwise: a sentence about what can be done without it.

    Raises:
        MissingExtraError: if the package is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise missing_extra(module, what, otherwise)
