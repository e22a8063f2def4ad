"""An evaluation from end to end: generate, make programs, execute, estimate pass@k."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from hf_select.errors import ConfigError
from hf_select.evaluation.generation import generate
from hf_select.evaluation.pass_at_k import Estimate, pass_at_k
from hf_select.evaluation.problem import Problem
from hf_select.evaluation.prompt import PromptStyle, get_style
from hf_select.evaluation.result import EvaluationResult, Sample, count_statuses
from hf_select.evaluation.sandbox import (
    Program,
    Sandbox,
    Verdict,
    choose_level,
    is_code_execution_allowed,
    record_containment,
)
from hf_select.evaluation.sanitize import sanitize

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_HOW_TO_EXECUTE = (
    "Nothing was executed: set HF_ALLOW_CODE_EVAL=1 or pass allow_code_eval=True to run the programs in the sandbox."
)


def evaluate_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    problems: Sequence[Problem],
    *,
    style: str | PromptStyle = "completion",
    k: Sequence[int] = (1,),
    n_samples: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_new_tokens: int = 512,
    batch_size: int = 32,
    seed: int = 0,
    sandbox: Sandbox | None = None,
    sandbox_level: str | None = None,
    timeout: float = 3.0,
    n_workers: int | None = None,
    allow_code_eval: bool | None = None,
    samples_path: str | Path | None = None,
    accelerator: Accelerator | None = None,
    progress: bool = True,
) -> EvaluationResult:
    """Measure pass@k of a model on a benchmark.

    Without the user's word everything but the execution is done: the samples carry the status ``not_run``, pass@k is
    not known, and the message says how to allow it.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        problems: the benchmark, at least one problem.
        style: how problems are worded, a key of ``STYLES`` or a style.
        k: which pass@k to estimate; each at most ``n_samples``, else a ``ConfigError``.
        n_samples: completions of each problem.
        temperature: 0 decodes greedily.
        top_p: draw from the smallest set of tokens with this probability.
        max_new_tokens: tokens of a completion at most.
        batch_size: completions at a time; halved when memory runs out.
        seed: of the sampling.
        sandbox: an open sandbox; by default one is opened, with ``sandbox_level``, ``timeout`` and ``n_workers``.
        sandbox_level: how programs are contained, as in ``Sandbox``.
        timeout: seconds a program may take.
        n_workers: programs at a time in each process; the usable processors, shared among the processes, by default.
        allow_code_eval: the user's word; ``None`` asks ``HF_ALLOW_CODE_EVAL``.
        samples_path: where to write all samples as JSON lines.
        accelerator: with several processes, each does a share and all return the whole result.
        progress: show progress bars.

    Returns:
        The result.
    """
    _require_sense(problems, k, n_samples)
    style = get_style(style) if isinstance(style, str) else style
    executes = sandbox is None and is_code_execution_allowed(allow_code_eval)
    if executes:
        choose_level(sandbox_level)  # a machine that cannot contain programs is told before the model writes any
    started = time.monotonic()
    completions = generate(
        model,
        tokenizer,
        [style.prompt(problem, tokenizer) for problem in problems],
        max_new_tokens=max_new_tokens,
        n_samples=n_samples,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=style.stop(problems),
        batch_size=batch_size,
        add_special_tokens=not style.has_special_tokens,
        accelerator=accelerator,
        progress=progress,
    )
    generated = time.monotonic()
    tasks = [(problem, text) for problem, texts in zip(problems, completions, strict=True) for text in texts]
    programs = [problem.program(sanitize(text, problem)) for problem, text in tasks]
    verdicts: list[Verdict] | None = None
    if sandbox is not None:
        verdicts = _execute(programs, sandbox, accelerator, progress)
    elif executes:
        n_workers = n_workers or _share_of_processors(accelerator)
        with Sandbox(sandbox_level, n_workers=n_workers, timeout=timeout, allow_code_eval=True) as opened:
            verdicts = _execute(programs, opened, accelerator, progress)
    samples = [
        Sample.of(problem.task_id, text, program.completion, verdict)
        for (problem, text), program, verdict in zip(tasks, programs, verdicts or repeat(None, len(tasks)), strict=True)
    ]
    result = _result(samples, k, n_samples, verdicts, generated - started, time.monotonic() - generated)
    if samples_path is not None and (accelerator is None or accelerator.is_main_process):
        result.save_samples(samples_path)
    return result


def _require_sense(problems: Sequence[Problem], k: Sequence[int], n_samples: int) -> None:
    if not problems:
        raise ConfigError("An evaluation needs at least one problem, and none came.")
    if not k or min(k) < 1 or max(k) > n_samples:
        raise ConfigError(f"k={tuple(k)} with n_samples={n_samples}: every k needs 1 <= k <= n_samples.")


def _execute(
    programs: Sequence[Program], sandbox: Sandbox, accelerator: Accelerator | None, progress: bool
) -> list[Verdict]:
    """Verdicts of all programs; every process runs a share and learns of all."""
    rank, n_processes = (accelerator.process_index, accelerator.num_processes) if accelerator is not None else (0, 1)
    own = range(rank, len(programs), n_processes)
    found = sandbox.check_many([programs[index] for index in own], progress=progress and rank == 0)
    verdicts = dict(zip(own, found, strict=True))
    if n_processes > 1:
        from accelerate.utils import gather_object

        verdicts = dict(gather_object(list(verdicts.items())))
    return [verdicts[index] for index in range(len(programs))]


def _share_of_processors(accelerator: Accelerator | None) -> int:
    n_local = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if accelerator is not None else 1
    return max(1, len(os.sched_getaffinity(0)) // n_local)


def _result(
    samples: list[Sample],
    k: Sequence[int],
    n_samples: int,
    verdicts: list[Verdict] | None,
    generation_seconds: float,
    execution_seconds: float,
) -> EvaluationResult:
    counts = count_statuses(samples)
    n_problems = len(samples) // n_samples
    estimates: dict[int, Estimate] = {}
    message = ""
    if verdicts is None:
        message = _HOW_TO_EXECUTE
    elif counts.get("infra_error"):
        message = (
            f"{counts['infra_error']} of {len(samples)} programs have no verdict because the sandbox itself failed on "
            "them, so pass@k is not known; evaluate again."
        )
    else:
        starts = range(0, len(samples), n_samples)
        n_passed = [sum(bool(sample.passed) for sample in samples[at : at + n_samples]) for at in starts]
        estimates = {one: pass_at_k([n_samples] * n_problems, n_passed, one) for one in sorted(set(k))}
    return EvaluationResult(
        pass_at_k=estimates,
        n_problems=n_problems,
        n_samples=n_samples,
        counts=counts,
        n_in_process=sum(sample.in_process for sample in samples),
        containment=record_containment(verdicts[0].level) if verdicts else None,
        generation_seconds=generation_seconds,
        execution_seconds=execution_seconds,
        message=message,
        samples=samples,
    )
