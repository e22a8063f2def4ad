"""A coding task as a reference set: rows whose loss is to fall, and the metric that tells whether that helped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hf_select.errors import ConfigError
from hf_select.evaluation.sandbox import choose_level, require_consent
from hf_select.evaluation.task.measurement import Decoding, Measurement
from hf_select.evaluation.task.record import draw
from hf_select.evaluation.task.score import TaskScore

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class CodingTask:
    """A task with its reference rows and, where it can be measured, its own metric.

    Attributes:
        name: a key of ``CODING_TASKS``.
        language: ``"python"``, ``"java"``, ``"cpp"`` or ``"sql"``.
        reference: rows ``prompt`` + ``completion``; the loss is read on the completion only.
        metric: ``"pass@1"``, ``"exact match"`` or ``"execution accuracy"``; ``None`` where it cannot be measured with
            what was given.
        unmeasured: why there is no metric, and what would change that; empty where there is one.
        measurement: how the metric is taken.
    """

    name: str
    language: str
    reference: Dataset
    metric: str | None
    unmeasured: str
    measurement: Measurement | None = field(default=None, repr=False)

    def measure(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        allow_code_eval: bool | None = None,
        sandbox_level: str | None = None,
        max_new_tokens: int = 256,
        batch_size: int = 16,
        max_problems: int | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> TaskScore:
        """Measure a model on the problems of the reference rows, with one greedy completion of each.

        Args:
            model: a causal language model.
            tokenizer: its tokenizer.
            allow_code_eval: the user's word, for metrics that execute; ``None`` asks ``HF_ALLOW_CODE_EVAL``.
            sandbox_level: how programs are contained, as in ``Sandbox``.
            max_new_tokens: tokens of a completion at most.
            batch_size: completions at a time; halved when memory runs out.
            max_problems: problems at most, a seeded draw; ``None`` for all rows of the reference set.
            seed: of the draw.
            progress: show progress bars.

        Returns:
            The score.

        Raises:
            ConfigError: if the task cannot be measured with what was given.
        """
        if self.measurement is None:
            raise ConfigError(f"The task {self.name!r} has no metric here: {self.unmeasured}")
        if self.measurement.runs_code:
            require_consent(allow_code_eval)
            choose_level(sandbox_level)  # a machine that cannot contain programs is told before the model writes any
        row_ids = draw(len(self.reference), max_problems, seed)
        decoding = Decoding(max_new_tokens, batch_size, seed, progress, sandbox_level)
        return self.measurement.measure(model, tokenizer, row_ids, decoding)
