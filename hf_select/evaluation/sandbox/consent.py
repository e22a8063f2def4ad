"""The user's word that model-written code may run."""

from __future__ import annotations

import os

from hf_select.errors import CodeExecutionError

VARIABLE = "HF_ALLOW_CODE_EVAL"


def is_code_execution_allowed(allow_code_eval: bool | None = None) -> bool:
    """Whether the user allowed that model-written code runs.

    Args:
        allow_code_eval: the caller's own word; ``None`` asks the environment variable ``HF_ALLOW_CODE_EVAL``, which
            allows it with exactly ``1`` (the convention of the metric ``code_eval``).

    Returns:
        The answer.
    """
    return os.environ.get(VARIABLE) == "1" if allow_code_eval is None else allow_code_eval


def require_consent(allow_code_eval: bool | None = None) -> None:
    """Stop unless the user allowed that model-written code runs.

    Args:
        allow_code_eval: as in ``is_code_execution_allowed``.

    Raises:
        CodeExecutionError: if it is not allowed.
    """
    if not is_code_execution_allowed(allow_code_eval):
        raise CodeExecutionError(
            "This runs code that a model wrote, and nobody allowed it. Read what the sandbox covers and what it does "
            f"not (help('hf_select.evaluation.sandbox')), then set {VARIABLE}=1 in the environment or pass "
            "allow_code_eval=True (--allow_code_eval). Prefer a machine that holds nothing of value."
        )
