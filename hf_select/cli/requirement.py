"""What the chosen methods must be given on the command line, asked for before anything is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from hf_select.budget import Budget
from hf_select.errors import BudgetError, ConfigError
from hf_select.extra import check_extra
from hf_select.methods import Method
from hf_select.signals.keys import EMBEDDING, ROW_TOKENS, Pass, Signal, Task
from hf_select.signals.models import TFIDF, Models

_BY_LABELLED_ROWS = frozenset({Pass.DEMONSTRATIONS, Pass.LOSS_PREDICTION})
_MODEL = "--model_name_or_path (a Hub id or a folder)"
_JUDGE = "--judge ('https://host/v1#model', or a causal language model)"
_EMBEDDER = "--embedder (a sentence-transformers model, or 'tfidf', which needs none)"


def check_method(
    method: Method, budgets: Iterable[Budget], *, n_references: int, has_labelled: bool, models: Models
) -> None:
    """Refuse a method that lacks something that no column of a dataset can stand in for.

    Args:
        method: the method.
        budgets: its budgets.
        n_references: reference sets that were given.
        has_labelled: whether labelled rows were given.
        models: the models that were given.

    Raises:
        BudgetError: if a budget counts tokens and the picks cannot be cut.
        ConfigError: if a reference set, labelled rows, a companion or checkpoints are missing.
    """
    for budget in budgets:
        if budget.kind == "tokens" and not method.ordered:
            raise BudgetError(
                f"The picks of {method.name!r} for fewer rows are not a prefix of those for more, so they cannot be "
                f"cut at {budget}. Give rows or a fraction, or a method with ordered picks (see 'hf-select methods')."
            )
    missing = None
    passes = {signal.read_in for signal in method.needs}
    if method.needs_reference and not n_references:
        missing = "aims at reference rows; give --reference (a Hub id or a file), for example validation rows"
    elif passes & _BY_LABELLED_ROWS and not has_labelled:
        missing = "learns from rows in use already; give --labelled (a file of row ids)"
    elif Pass.DEMONSTRATIONS in passes and models.task is Task.CLASSIFICATION and not models.companions.language_model:
        missing = "asks a language model to answer after demonstrations; give --language_model"
    elif _asks(method, model="draft") and not models.companions.draft_model:
        missing = "measures rows on a small model first; give --draft_model"
    elif _asks(method, update="adam") and not models.companions.checkpoints:
        missing = "follows the optimiser's own updates; give --checkpoints (Trainer checkpoints with optimizer.pt)"
    if missing:
        raise ConfigError(f"{method.name!r} {missing}.")


def check_signals(method: Method, signals: Collection[Signal[Any]], models: Models) -> None:
    """Refuse a method whose signals can be neither read nor found in the dataset.

    Args:
        method: the method.
        signals: those of its signals that have to be read.
        models: the models that were given.

    Raises:
        ConfigError: if a model, an embedder or a tokenizer is missing.
    """
    for signal in sorted(signals, key=lambda signal: signal.name):
        missing = None
        if signal == EMBEDDING:
            if models.given_embedder is None and models.given_model is None:
                missing = f"{_EMBEDDER} or {_MODEL}"
        elif signal.read_in is Pass.JUDGEMENT:
            missing = None if models.companions.judge else _JUDGE
        elif signal.read_in is not Pass.TEXT and models.given_model is None:
            missing = _MODEL
        elif signal == ROW_TOKENS and not models.has_tokenizer:
            missing = f"--tokenizer_name or {_MODEL}"
        if missing:
            raise ConfigError(
                f"{method.name!r} needs {signal.column!r}, which is read in the {signal.read_in.value} pass; give "
                f"{missing}."
            )


def check_extras(embedder: str | None) -> None:
    """Refuse an embedder for which a package is missing.

    Args:
        embedder: its name.

    Raises:
        MissingExtraError: if sentence-transformers is not installed.
    """
    if embedder not in (None, TFIDF):
        otherwise = f"Or give --embedder {TFIDF}, or none to use the model's own states."
        check_extra("sentence_transformers", f"--embedder {embedder}", otherwise)


def _asks(method: Method, **parameters: str) -> bool:
    """Whether a signal of the gradients pass has these parameters."""
    asked = [signal.parameters for signal in method.needs if signal.read_in is Pass.GRADIENTS]
    return any(parameters.items() <= found.items() for found in asked)
