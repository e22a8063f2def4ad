"""What measuring a task gives: one number in 0..1 with its interval, and how every completion ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hf_select.errors import SandboxUnavailableError
from hf_select.evaluation.pass_at_k import wilson
from hf_select.evaluation.result import Sample, count_statuses
from hf_select.evaluation.sandbox import Containment


@dataclass(frozen=True)
class TaskScore:
    """The outcome of measuring a model on a task.

    Attributes:
        value: the share of the problems that are solved, in 0..1.
        n_problems: problems that count.
        interval: Wilson's 95 % interval of ``value``.
        metric: what was measured, for example ``"pass@1"``.
        counts: completions by status; those that are ``refused`` do not count as problems.
        n_in_process: verdicts formed in the process of the program, which could have forged them.
        containment: how programs were contained; ``None`` where none ran.
        message: what the reader must know; empty where there is nothing.
        edit_similarity: mean similarity to the reference completion, in 0..1, where the metric has it.
        samples: every completion, in the order of the reference rows.
    """

    value: float
    n_problems: int
    interval: tuple[float, float]
    metric: str
    counts: Mapping[str, int]
    n_in_process: int = 0
    containment: Containment | None = None
    message: str = ""
    edit_similarity: float | None = None
    samples: Sequence[Sample] = field(default=(), repr=False)

    @property
    def sandbox_level(self) -> str | None:
        """Level at which programs were contained; ``None`` where none ran."""
        return self.containment.level if self.containment else None

    def summary(self) -> dict[str, Any]:
        """Everything but the samples, as plain data for ``results.json``."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "samples"}
        sandbox = plain.pop("containment")
        return plain | {"sandbox_level": self.sandbox_level, "sandbox": sandbox._asdict() if sandbox else None}

    def __str__(self) -> str:
        """One line for people."""
        low, high = self.interval
        in_process = f", {self.n_in_process} judged in process" if self.n_in_process else ""
        similar = "" if self.edit_similarity is None else f", edit similarity {self.edit_similarity:.1%}"
        text = (
            f"{self.metric} {self.value:.1%} [{low:.1%}, {high:.1%}]{similar} on {self.n_problems} problems{in_process}"
        )
        return f"{text}. {self.message}" if self.message else text


def score_samples(
    samples: Sequence[Sample],
    metric: str,
    *,
    containment: Containment | None = None,
    edit_similarity: float | None = None,
) -> TaskScore:
    """Make a score of what became of the completions.

    Args:
        samples: one for each problem.
        metric: what was measured.
        containment: how programs were contained.
        edit_similarity: mean similarity to the reference completions.

    Returns:
        The score over all problems that could be asked.

    Raises:
        SandboxUnavailableError: if the sandbox itself failed on a program, or if no problem could be asked.
    """
    counts = count_statuses(samples)
    if n_lost := counts.get("infra_error", 0):
        detail = next(sample.detail for sample in samples if sample.status == "infra_error")
        raise SandboxUnavailableError(
            f"{n_lost} of {len(samples)} programs have no verdict because the sandbox itself failed on them (first: "
            f"{detail}), so {metric} is not known; measure again."
        )
    refused = [sample for sample in samples if sample.status == "refused"]
    n_problems = len(samples) - len(refused)
    if n_problems == 0:
        raise SandboxUnavailableError(
            f"None of the {len(samples)} problems can be asked on this machine (first: {refused[0].detail})."
        )
    message = ""
    if refused:
        reasons = "; ".join(sorted({sample.detail for sample in refused})[:3])
        message = f"{len(refused)} of {len(samples)} problems are left out, which cannot be asked here: {reasons}."
    n_passed = sum(sample.passed is True for sample in samples)
    return TaskScore(
        value=n_passed / n_problems,
        n_problems=n_problems,
        interval=wilson(n_passed, n_problems),
        metric=metric,
        counts=counts,
        n_in_process=sum(sample.in_process for sample in samples),
        containment=containment,
        message=message,
        edit_similarity=edit_similarity,
        samples=samples,
    )
