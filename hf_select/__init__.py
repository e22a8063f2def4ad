"""Data selection for code models: pick the rows that are worth training on, before and during training.

The flow, and where each step lives::

    dataset row -> rows.py, templates.py, tokens.py     any form, read as prompt and response, worded, tokenised
        |
        |  gates/                                       keep or drop a row, with a reason
        |  extract()   <- signals/                      every pass over text or model once -> signal columns
        |  select()    <- methods/, budget.py           signals -> picks
        v
    Selection (selection.py)                            row ids, scores, how they were made; save, load, apply
        |
        |  training/, callbacks/                        DynamicPackCollator, packed attention
        |  evaluation/                                  HumanEval, MBPP: generate, sandbox, pass@k
        |  report/                                      tables, plots, cards
        v
    recipes/codeact.py                                  all of it, launched by accelerate (experiment/ holds its parts)

The names below are loaded when they are first used, so that ``import hf_select`` stays quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_select.budget import Budget
    from hf_select.errors import HfSelectError
    from hf_select.extract import extract
    from hf_select.methods import METHODS, Method, Picks, Scorer, make
    from hf_select.select import select
    from hf_select.selection import Selection
    from hf_select.signals.keys import Signal
    from hf_select.signals.models import Companions
    from hf_select.signals.table import Signals
    from hf_select.training import (
        DataCollatorWithDynamicPack,
        DynamicPackCollator,
        check_packing,
        pack_dataset,
        packed_attention,
    )
    from hf_select.training.warm_up_stage import warm_up
    from hf_select.transforms import KeepTransform, ScoreTransform, SignalTransform

__version__ = "0.1.0"

_HOMES = {
    "Budget": "budget",
    "HfSelectError": "errors",
    "extract": "extract",
    "METHODS": "methods",
    "Method": "methods",
    "Picks": "methods",
    "Scorer": "methods",
    "make": "methods",
    "select": "select",
    "Selection": "selection",
    "Signal": "signals.keys",
    "Signals": "signals.table",
    "Companions": "signals.models",
    "DataCollatorWithDynamicPack": "training",
    "DynamicPackCollator": "training",
    "check_packing": "training",
    "pack_dataset": "training",
    "packed_attention": "training",
    "warm_up": "training.warm_up_stage",
    "KeepTransform": "transforms",
    "ScoreTransform": "transforms",
    "SignalTransform": "transforms",
}

__all__ = [
    "METHODS",
    "Budget",
    "Companions",
    "DataCollatorWithDynamicPack",
    "DynamicPackCollator",
    "HfSelectError",
    "KeepTransform",
    "Method",
    "Picks",
    "ScoreTransform",
    "Scorer",
    "Selection",
    "Signal",
    "SignalTransform",
    "Signals",
    "__version__",
    "check_packing",
    "extract",
    "make",
    "pack_dataset",
    "packed_attention",
    "select",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hf_select' has no attribute {name!r}")
    value = getattr(import_module(f"hf_select.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """This package. Importing ``hf_select.select`` would bind that module to the name of the function in it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    """The public names."""
    return __all__
