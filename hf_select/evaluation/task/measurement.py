"""How a task is measured: by the benchmark code, or by completing every prompt and grading what came."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from hf_select.evaluation.result import Sample
from hf_select.evaluation.sandbox import choose_level, record_containment
from hf_select.evaluation.task.score import TaskScore, score_samples

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Decoding(NamedTuple):
    """How completions are generated, greedily, and executed.

    Attributes:
        max_new_tokens: tokens of a completion at most.
        batch_size: completions at a time.
        seed: of the sampling.
        progress: show progress bars.
        sandbox_level: how programs are contained, as in ``Sandbox``.
    """

    max_new_tokens: int
    batch_size: int
    seed: int
    progress: bool
    sandbox_level: str | None = None


class Measurement(ABC):
    """A metric bound to the problems of one task.

    Attributes:
        metric: its name.
        runs_code: it executes what the model wrote, so it needs the user's word.
    """

    metric: ClassVar[str]
    runs_code: ClassVar[bool] = True

    @abstractmethod
    def measure(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, row_ids: Sequence[int], decoding: Decoding
    ) -> TaskScore:
        """Measure a model; the user's word was asked for before.

        Args:
            model: a causal language model.
            tokenizer: its tokenizer.
            row_ids: rows of the reference set to measure on.
            decoding: how to generate.

        Returns:
            The score.
        """


class Graded(Measurement):
    """Complete the prompt of every row, then grade all completions at once.

    Attributes:
        stop: strings at which a completion ends.
        prompts: (M,) what the model is given for each row.
    """

    stop: ClassVar[tuple[str, ...]] = ()

    def __init__(self, prompts: Sequence[str]) -> None:
        """Keep the prompts.

        Args:
            prompts: (M,) texts.
        """
        self.prompts = prompts

    @abstractmethod
    def grade(
        self, row_ids: Sequence[int], completions: Sequence[str], progress: bool, level: str | None = None
    ) -> list[Sample]:
        """Say what became of each completion.

        Args:
            row_ids: (P,) rows of the reference set.
            completions: (P,) what the model wrote for each.
            progress: show a progress bar.
            level: how programs are contained, as in ``Sandbox``; nothing to metrics that run none.

        Returns:
            (P,) samples.
        """

    def edit_similarity(self, row_ids: Sequence[int], samples: Sequence[Sample]) -> float | None:
        """Mean similarity of what was graded to the reference, for metrics that tell it.

        Args:
            row_ids: (P,) rows of the reference set.
            samples: (P,) their samples.

        Returns:
            The mean, in 0..1; ``None`` for a metric without one.
        """
        del row_ids, samples
        return None

    def measure(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, row_ids: Sequence[int], decoding: Decoding
    ) -> TaskScore:
        """Measure a model.

        Args:
            model: a causal language model.
            tokenizer: its tokenizer.
            row_ids: rows of the reference set to measure on.
            decoding: how to generate.

        Returns:
            The score.
        """
        from hf_select.evaluation.generation import generate

        texts = generate(
            model,
            tokenizer,
            [self.prompts[row_id] for row_id in row_ids],
            max_new_tokens=decoding.max_new_tokens,
            batch_size=decoding.batch_size,
            seed=decoding.seed,
            stop=self.stop,
            progress=decoding.progress,
        )
        level = choose_level(decoding.sandbox_level).name if self.runs_code else None
        samples = self.grade(row_ids, [text for (text,) in texts], decoding.progress, level)
        return score_samples(
            samples,
            self.metric,
            containment=record_containment(level) if level else None,
            edit_similarity=self.edit_similarity(row_ids, samples),
        )
