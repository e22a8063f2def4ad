"""pass@k as an ``evaluate.Metric``, with the convention of ``code_eval`` and the verdicts of the sandbox.

Importing this module imports ``evaluate``, which takes seconds; nothing else of the package imports it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from hf_select.errors import ConfigError, SandboxUnavailableError
from hf_select.evaluation.pass_at_k import pass_at_k_of_each
from hf_select.evaluation.sandbox import Program, Sandbox
from hf_select.evaluation.source import definitions, free_names

Results = dict[int, list[tuple[int, dict[str, Any]]]]


class PassAtK(evaluate.Metric):  # type: ignore[misc]
    """Executes candidates against tests and estimates pass@k; works offline.

    ``compute(predictions=[[program, ...], ...], references=[tests, ...], k=[1, 10])`` returns the dictionary of
    ``pass@k`` and, per task, the list of ``(completion_id, result)``, as ``code_eval`` does. A k for which some task
    has too few candidates is left out. Tests are plain asserts, or end with ``check(<function>)``. The functions that
    they call are found by name; a class of the candidate cannot be used by them.

    Nothing runs unless ``HF_ALLOW_CODE_EVAL`` is ``1``.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="The chance that at least one of k candidates passes a task, estimated without bias.",
            citation="Chen et al. 2021, Evaluating Large Language Models Trained on Code, arXiv:2107.03374",
            inputs_description="predictions: a list of candidate programs for each task. references: a test each.",
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("string")), "references": datasets.Value("string")}
            ),
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[str],
        k: Sequence[int] = (1, 10, 100),
        num_workers: int | None = None,
        timeout: float = 3.0,
    ) -> tuple[dict[str, float], Results]:
        """Run every candidate; see the class."""
        if not all(predictions):
            raise ConfigError("pass@k needs at least one candidate for every task, and one has none.")
        with Sandbox(n_workers=num_workers, timeout=timeout) as sandbox:
            programs = [
                _program(candidate, test)
                for candidates, test in zip(predictions, references, strict=True)
                for candidate in candidates
            ]
            verdicts = sandbox.check_many(programs, progress=False)
        if n_lost := sum(verdict.status == "infra_error" for verdict in verdicts):
            raise SandboxUnavailableError(
                f"{n_lost} of {len(verdicts)} programs have no verdict because the sandbox itself failed on them, so "
                "pass@k is not known; evaluate again."
            )
        results: Results = defaultdict(list)
        tasks = ((task, number) for task, candidates in enumerate(predictions) for number in range(len(candidates)))
        for (task, number), verdict in zip(tasks, verdicts, strict=True):
            result = verdict.status if verdict.passed or not verdict.detail else f"{verdict.status}: {verdict.detail}"
            told = {"task_id": task, "passed": verdict.passed, "result": result, "completion_id": number}
            results[task].append((number, told))
        n_samples = [len(results[task]) for task in sorted(results)]
        n_passed = [sum(told["passed"] for _, told in results[task]) for task in sorted(results)]
        shares = {f"pass@{n}": pass_at_k_of_each(n_samples, n_passed, n) for n in k if n <= min(n_samples)}
        return {name: float(values.mean()) for name, values in shares.items()}, results


def _program(candidate: str, test: str) -> Program:
    """The candidate, with stand-ins for those of its functions that the test calls."""
    names = sorted(free_names(test) & definitions(candidate).keys())
    return Program(completion=candidate, entry_points=tuple(names), tests=(test,))
