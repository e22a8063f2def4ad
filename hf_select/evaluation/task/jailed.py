"""Commands run one after another in a jail: the files they find, the limits they run under, the verdict by exit status.

    caller ── exec ──> launcher ── fork, confine, exec ──> compiler, then program (or the process that asks a database)

Every job has a launcher, a folder and a process group of its own. The launcher puts the layers of a level around each
step (see ``hf_select.evaluation.sandbox``), reads what it prints and keeps little of it, ends it at its deadline, and
ends every process that it left behind. The environment holds five fixed variables. A step sees the system's shared
libraries, what it names itself, and nothing else; at the level ``process``, everything.

Not covered at the level ``process``: a program that kills its launcher and has left the process group by then may
outlive its verdict (``crashed``).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hf_select.evaluation import sandbox
from hf_select.evaluation.sandbox import STATUSES, Level, Verdict, choose_level, require_consent
from hf_select.evaluation.sandbox.interpreter import SYSTEM, with_targets
from hf_select.evaluation.sandbox.jail import MAX_STRETCH
from hf_select.evaluation.task.launcher import Step

_LAUNCHER = Path(__file__).with_name("launcher.py")
_SANDBOX = Path(sandbox.__file__).parent
_GRACE_SECONDS = 15.0
_TASKS_OF_A_JOB = 64
_N_TRIES = 2


@dataclass(frozen=True)
class Job:
    """What to run for one program.

    Attributes:
        files: text files that are put into the job's folder, by name.
        steps: the commands; ``{folder}`` in an argument or a path stands for the job's folder. The last one's exit
            status is the verdict: 0 passed, 3 refused (the problem cannot be asked here), anything else failed.
        in_process: the last step runs the program and its tests in one process, so that it could forge the verdict.
    """

    files: Mapping[str, str]
    steps: tuple[Step, ...]
    in_process: bool


def run_jobs(
    jobs: Sequence[Job],
    *,
    level: str | None = None,
    n_workers: int | None = None,
    allow_code_eval: bool | None = None,
    progress: bool = True,
) -> list[Verdict]:
    """Run jobs, a few at a time.

    Args:
        jobs: the jobs.
        level: how they are contained, as in ``Sandbox``.
        n_workers: jobs at a time; the number of usable processors by default.
        allow_code_eval: the user's word; ``None`` asks ``HF_ALLOW_CODE_EVAL``.
        progress: show a progress bar.

    Returns:
        A verdict for each, in the order given. A job for which the sandbox itself failed was tried twice.
    """
    require_consent(allow_code_eval)
    chosen = choose_level(level)
    n_workers = n_workers or len(os.sched_getaffinity(0))
    pool = ThreadPoolExecutor(n_workers, thread_name_prefix="jailed")
    try:
        verdicts = pool.map(partial(_try, level=chosen, n_workers=n_workers), jobs)
        return list(tqdm(verdicts, total=len(jobs), desc="Executing", unit="program", disable=not progress))
    finally:
        pool.shutdown(cancel_futures=True)


def _try(job: Job, level: Level, n_workers: int) -> Verdict:
    """Run a job, and once more where the sandbox itself failed."""
    for _ in range(_N_TRIES):
        verdict = _run(job, level, n_workers)
        if verdict.status != "infra_error":
            break
    return verdict


def _run(job: Job, level: Level, n_workers: int) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="hf_select_job_", ignore_cleanup_errors=True) as outer:
        folder, scratch = Path(outer, "work"), Path(outer, "scratch")
        folder.mkdir()
        scratch.mkdir()
        for name, text in job.files.items():
            # A lone surrogate, which a model may write, has no encoding; the compiler is given a question mark.
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
        steps = [_placed(step, str(folder)) for step in job.steps]
        nonce = secrets.token_hex(16)
        order = {
            "steps": steps,
            "layers": level.layers,
            "folder": str(folder),
            "scratch": str(scratch),
            "n_extra_tasks": _TASKS_OF_A_JOB * n_workers,
            "nonce": nonce,
        }
        seconds = MAX_STRETCH * sum(step["seconds"] for step in steps) + _GRACE_SECONDS
        answer = _ask_launcher(order, str(folder), seconds)
    if answer.get("nonce") != nonce or answer.get("status") not in STATUSES:
        answer = {"status": "crashed", "detail": "the launcher of the program was ended", "seconds": 0.0}
    return Verdict(
        passed=answer["status"] == "passed",
        status=answer["status"],
        detail=answer["detail"],
        level=level.name,
        seconds=answer["seconds"],
        in_process=job.in_process,
    )


def _placed(step: Step, folder: str) -> Step:
    """A step with the job's folder, the system's libraries, and the targets of links."""

    def place(texts: Sequence[str]) -> list[str]:
        return [text.replace("{folder}", folder) for text in texts]

    return Step(
        **{
            **step,
            "command": place(step["command"]),
            "readable": with_targets([*SYSTEM, *place(step["readable"])]),
            "writable": place(step["writable"]),
        }
    )


def _ask_launcher(order: Mapping[str, Any], folder: str, seconds: float) -> dict[str, Any]:
    """The launcher's answer; an empty one where it was ended before it could give one."""
    process = subprocess.Popen(
        [sys.executable, "-s", "-S", "-B", "-X", "utf8", str(_LAUNCHER), str(_SANDBOX)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(folder),
        cwd=folder,
        start_new_session=True,
    )
    answer: dict[str, Any] = {}
    try:
        told, _ = process.communicate(json.dumps(order).encode("ascii"), timeout=seconds)
        with contextlib.suppress(ValueError):
            answer = dict(json.loads(told))
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        if not answer:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return answer


def _environment(folder: str) -> dict[str, str]:
    """The whole environment of a launcher and of what it runs."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder, "PYTHONHASHSEED": "0"}
