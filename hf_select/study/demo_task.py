"""The reference task of the demo: rows of held-out tasks to aim at, and other held-out tasks to be measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hf_select.errors import ConfigError
from hf_select.experiment.arguments import DEMO

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_select.demo.pool import DemoPool
    from hf_select.evaluation.problem import Problem
    from hf_select.evaluation.sandbox import Containment


class Measured(NamedTuple):
    """A metric of one task.

    Attributes:
        value: 0..1.
        interval: its 95 % interval.
        n_problems: problems it was measured on.
        containment: how programs were contained.
    """

    value: float
    interval: tuple[float, float]
    n_problems: int
    containment: Containment | None = None


@dataclass(frozen=True)
class DemoTask:
    """The generated tasks that no training row shares a prompt or a body with.

    Attributes:
        pool: the generated pool.
        max_reference_rows: rows to aim at, at most.
        name: ``"demo"``.
        language: ``"python"``.
        metric: ``"pass@1"``, of problems other than the rows to aim at.
        unmeasured: empty.
        reference_is_test: False.
    """

    pool: DemoPool
    max_reference_rows: int
    name: str = DEMO
    language: str = "python"
    metric: str = "pass@1"
    unmeasured: str = ""
    reference_is_test: bool = False

    @property
    def problems(self) -> list[Problem]:
        """The problems that a model is measured on."""
        from hf_select.evaluation.benchmark import humaneval_problem

        return [humaneval_problem(row) for row in self.pool.problems]

    @property
    def reference(self) -> Dataset:
        """Rows to aim at.

        Returns:
            Columns ``prompt`` and ``completion``.

        Raises:
            ConfigError: if one of them is a test problem.
        """
        rows = self.pool.validation.select_columns(["prompt", "completion"])
        if shared := {problem["prompt"] for problem in self.pool.problems} & set(rows["prompt"]):
            raise ConfigError(f"{len(shared)} rows of the reference are test problems; build the pool with others.")
        return rows.select(range(min(self.max_reference_rows, len(rows))))

    def measure(
        self,
        model: Any,
        tokenizer: Any,
        *,
        allow_code_eval: bool | None = None,
        max_new_tokens: int = 256,
        batch_size: int = 32,
        max_problems: int | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> Measured | None:
        """Measure pass@1.

        Args:
            model: the model.
            tokenizer: its tokenizer.
            allow_code_eval: the user's word; ``None`` asks ``HF_ALLOW_CODE_EVAL``.
            max_new_tokens: tokens of a completion at most.
            batch_size: prompts decoded at once.
            max_problems: use only the first problems.
            seed: of the sampling, of which greedy decoding has none.
            progress: show progress bars.

        Returns:
            pass@1; ``None`` where nothing may be executed.
        """
        from accelerate import Accelerator

        from hf_select.evaluation.run import evaluate_model
        from hf_select.evaluation.sandbox import is_code_execution_allowed

        if not is_code_execution_allowed(allow_code_eval):
            return None
        result = evaluate_model(
            model,
            tokenizer,
            self.problems[:max_problems],
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            allow_code_eval=allow_code_eval,
            seed=seed,
            accelerator=Accelerator(),
            progress=progress,
        )
        result.require_verdicts()
        if result.pass_at_1 is None or result.pass_at_1_interval is None:
            return None
        return Measured(result.pass_at_1, result.pass_at_1_interval, result.n_problems, result.containment)
