"""Evaluation: problems, completions, programs, verdicts, pass@k.

    load_benchmark ──> problems ──> style.prompt ──> generate ──> sanitize ──> Sandbox.check_many ──> pass_at_k

``evaluate_model`` is the whole way. ``hf_select.evaluation.metric.PassAtK`` is the last two steps as an
``evaluate.Metric``. Model-written code runs only with the user's word; see ``hf_select.evaluation.sandbox``.
"""

from typing import TYPE_CHECKING, Any

from hf_select.evaluation.benchmark import (
    BENCHMARKS,
    load_benchmark,
    load_humaneval,
    load_humaneval_plus,
    load_mbpp,
    load_mbpp_plus,
    load_problems,
)
from hf_select.evaluation.pass_at_k import pass_at_k
from hf_select.evaluation.problem import Problem
from hf_select.evaluation.prompt import STYLES, get_style
from hf_select.evaluation.result import EvaluationResult
from hf_select.evaluation.sandbox import Program, Sandbox, Verdict, check
from hf_select.evaluation.sanitize import sanitize

if TYPE_CHECKING:
    from hf_select.evaluation.generation import generate
    from hf_select.evaluation.run import evaluate_model

__all__ = [
    "BENCHMARKS",
    "STYLES",
    "EvaluationResult",
    "Problem",
    "Program",
    "Sandbox",
    "Verdict",
    "check",
    "evaluate_model",
    "generate",
    "get_style",
    "load_benchmark",
    "load_humaneval",
    "load_humaneval_plus",
    "load_mbpp",
    "load_mbpp_plus",
    "load_problems",
    "pass_at_k",
    "sanitize",
]

_NEED_TORCH = {"generate": "generation", "evaluate_model": "run"}


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for."""
    if name in _NEED_TORCH:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
