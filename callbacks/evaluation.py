"""pass@k while a model trains, so that a falling loss can be held against what the model can do."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_select.callbacks.tracker import report
from hf_select.errors import ConfigError
from hf_select.training.attention import plain_attention
from hf_select.training.gathered import gathered
from hf_select.training.random_state import random_state_kept

if TYPE_CHECKING:
    from hf_select.evaluation.problem import Problem

logger = logging.getLogger("hf_select")


class PassAtKCallback(TrainerCallback):
    """Generates solutions of a benchmark with the weights of now, runs them in the sandbox, and logs pass@k.

    Random state, training flags and attention are left as found, so a run with the callback trains to the same
    weights as one without. Model-written code runs only on the user's word (``HF_ALLOW_CODE_EVAL=1``, or
    ``allow_code_eval=True``).

    Every tracker of ``report_to`` gets ``eval/pass@1`` (and so on for each k), the log history ``eval_pass@1``.

    Args:
        problems: the problems, or the name of a benchmark (``"humaneval"``, ``"mbpp"`` ...).
        every: optimiser steps between two evaluations; ``None`` evaluates whenever the ``Trainer`` does, and adds the
            figures to its metrics (``eval_pass@1``), so that ``metric_for_best_model`` can name them.
        **options: of ``evaluate_model`` (``style``, ``k``, ``n_samples``, ``max_new_tokens``, ``batch_size`` ...).

    Attributes:
        results: step and figures of each evaluation: ``pass@k`` and the counts of verdicts.

    Raises:
        ConfigError: if ``every`` is not a whole number of at least 1, or nothing may be executed.
    """

    def __init__(self, problems: str | Sequence[Problem], *, every: int | None = None, **options: Any) -> None:
        from hf_select.evaluation.benchmark import load_benchmark
        from hf_select.evaluation.sandbox import is_code_execution_allowed

        if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
            raise ConfigError(f"every={every!r} must be a whole number of at least 1, or None.")
        if options.get("sandbox") is None and not is_code_execution_allowed(options.get("allow_code_eval")):
            raise ConfigError(
                "pass@k runs model-written code, which needs your word: set HF_ALLOW_CODE_EVAL=1, or give "
                "allow_code_eval=True."
            )
        self._problems = load_benchmark(problems) if isinstance(problems, str) else list(problems)
        self._every = every
        self._options: dict[str, Any] = {"progress": False, **options}
        self.results: list[dict[str, Any]] = []

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: Any = None,
        processing_class: Any = None,
        **kwargs: Any,
    ) -> None:
        """Evaluate if it is time."""
        if self._every is not None and state.global_step % self._every == 0:
            self._evaluate(args, state, control, model, processing_class)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: Any = None,
        processing_class: Any = None,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Evaluate with the ``Trainer``, and add the figures to its metrics."""
        if self._every is None:
            figures = self._evaluate(args, state, control, model, processing_class)
            if metrics is not None:
                metrics.update(figures)

    def _evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any, tokenizer: Any
    ) -> dict[str, float]:
        """pass@k of now, by the name that it is logged under."""
        from accelerate import Accelerator

        from hf_select.evaluation.run import evaluate_model

        if tokenizer is None:
            raise ConfigError("PassAtKCallback generates text: give the Trainer its tokenizer as processing_class=.")
        modes = [(module, module.training) for module in model.modules()]
        try:
            with random_state_kept(), plain_attention(model), gathered(model):
                result = evaluate_model(model, tokenizer, self._problems, accelerator=Accelerator(), **self._options)
        finally:
            for module, training in modes:
                module.training = training
        figures = {f"pass@{k}": estimate.value for k, estimate in result.pass_at_k.items()}
        self.results.append({"step": state.global_step, **figures, "counts": dict(result.counts)})
        told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        logger.info("Step %d: %s over %d problems.", state.global_step, told, len(self._problems))
        logged = {f"eval_{name}": value for name, value in figures.items()}
        report(logged, args, state, control)
        return logged
