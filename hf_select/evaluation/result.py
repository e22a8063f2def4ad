"""What an evaluation found: pass@k with its interval, how every program ended, and the file of all samples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hf_select.errors import SandboxUnavailableError
from hf_select.evaluation.pass_at_k import Estimate
from hf_select.evaluation.sandbox import Containment, Status, Verdict
from hf_select.files import replace_file

NOT_RUN: Literal["not_run"] = "not_run"
"""Status of a sample whose program was not executed, for want of the user's word."""


class Sample(NamedTuple):
    """One completion and what became of it.

    Attributes:
        task_id: the problem.
        completion: what the model wrote, up to the first stop string.
        program: what was executed.
        status: one of ``sandbox.STATUSES``, or ``not_run``.
        detail: why it did not pass.
        passed: whether it did; ``None`` where it was not executed.
        in_process: the verdict was formed in the process of the program.
    """

    task_id: str
    completion: str
    program: str
    status: Status | Literal["not_run"]
    detail: str
    passed: bool | None
    in_process: bool

    @classmethod
    def of(cls, task_id: str, completion: str, program: str, verdict: Verdict | None) -> Sample:
        """A sample with its verdict.

        Args:
            task_id: the problem.
            completion: what the model wrote.
            program: what was executed.
            verdict: ``None`` where it was not executed.

        Returns:
            The sample.
        """
        if verdict is None:
            return cls(task_id, completion, program, NOT_RUN, "", None, False)
        return cls(task_id, completion, program, verdict.status, verdict.detail, verdict.passed, verdict.in_process)


@dataclass(frozen=True)
class EvaluationResult:
    """The outcome of one evaluation.

    Attributes:
        pass_at_k: estimate and interval for every k that was asked for; empty where nothing was executed, or where the
            sandbox itself failed on some program.
        n_problems: problems.
        n_samples: completions of each problem.
        counts: samples by status.
        n_in_process: samples whose verdict was formed in the process of the program, which could have forged it.
        containment: how programs were contained; ``None`` where nothing was executed.
        generation_seconds: time for the completions.
        execution_seconds: time for the verdicts.
        message: what the reader must know; empty where there is nothing.
        samples: every sample, problem by problem.
    """

    pass_at_k: Mapping[int, Estimate]
    n_problems: int
    n_samples: int
    counts: Mapping[str, int]
    n_in_process: int
    containment: Containment | None
    generation_seconds: float
    execution_seconds: float
    message: str
    samples: Sequence[Sample]

    @property
    def pass_at_1(self) -> float | None:
        """pass@1, in 0..1; ``None`` where it is not known."""
        return self.pass_at_k[1].value if 1 in self.pass_at_k else None

    @property
    def pass_at_1_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of pass@1."""
        return (self.pass_at_k[1].low, self.pass_at_k[1].high) if 1 in self.pass_at_k else None

    @property
    def sandbox_level(self) -> str | None:
        """Level at which programs were contained; ``None`` where nothing was executed."""
        return self.containment.level if self.containment else None

    def require_verdicts(self) -> None:
        """Stop where the sandbox itself failed on a program, so that a run does not end as if it knew its pass@k.

        Raises:
            SandboxUnavailableError: if it did.
        """
        if self.counts.get("infra_error"):
            raise SandboxUnavailableError(self.message)

    def summary(self) -> dict[str, Any]:
        """Everything but the samples, as plain data for ``results.json``."""
        return {
            "pass_at_1": self.pass_at_1,
            "pass_at_1_interval": self.pass_at_1_interval,
            "pass_at_k": {str(k): estimate._asdict() for k, estimate in self.pass_at_k.items()},
            "n_problems": self.n_problems,
            "n_samples": self.n_samples,
            "counts": dict(self.counts),
            "n_in_process": self.n_in_process,
            "sandbox_level": self.sandbox_level,
            "sandbox": self.containment._asdict() if self.containment else None,
            "generation_seconds": self.generation_seconds,
            "execution_seconds": self.execution_seconds,
            "message": self.message,
        }

    def __str__(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{n} {status}" for status, n in sorted(self.counts.items()))
        shares = ", ".join(
            f"pass@{k} {value.value:.1%} [{value.low:.1%}, {value.high:.1%}]" for k, value in self.pass_at_k.items()
        )
        in_process = f", {self.n_in_process} judged in process" if self.n_in_process else ""
        text = f"{shares or 'pass@k not known'} on {self.n_problems} problems ({counts}{in_process})"
        return f"{text}. {self.message}" if self.message else text

    def save_samples(self, path: str | Path) -> Path:
        """Write all samples as JSON lines, whole or not at all, and the summary beside them.

        Args:
            path: the file, usually ``samples.jsonl``; the summary, with the level of the sandbox, is then
                ``samples.summary.json``.

        Returns:
            The file.
        """
        summary = json.dumps(self.summary(), indent=2) + "\n"
        replace_file(Path(path).with_suffix(".summary.json"), lambda temporary: temporary.write_text(summary))
        # ASCII escapes: a completion may hold a lone surrogate, which no encoding carries.
        text = "".join(json.dumps(sample._asdict()) + "\n" for sample in self.samples)
        return replace_file(Path(path), lambda temporary: temporary.write_text(text, encoding="ascii"))


def count_statuses(samples: Sequence[Sample]) -> dict[str, int]:
    """Samples by status.

    Args:
        samples: the samples.

    Returns:
        The number of each status that occurs.
    """
    return dict(Counter(sample.status for sample in samples))
