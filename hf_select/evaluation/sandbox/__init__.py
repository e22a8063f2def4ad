"""The sandbox: model-written programs meet their tests, and the verdict is formed outside the process that runs them.

    caller ── exec ──> worker ── fork ──> supervisor of one program ── fork ──> candidate: the program, no test
                                                                    └─ fork ──> judge: the tests, no program
    candidate <── calls and answers as plain data ──> judge ── verdict ──> supervisor ──> caller

The candidate is forked before the tests are read, and the judge alone holds the pipe that a verdict comes from. Objects
that equal everything, decorators on ``check``, walks through the frames and early exits therefore do not pass.

Covered at the level ``process``:
    forged verdicts; tests read from memory; inherited environment, descriptors and memory (workers are started by exec,
    never forked from the caller); time (one deadline for the whole program, then SIGKILL); memory, file size, open
    files, core dumps; output (none is kept, answers are capped at 64 MiB, details at 300 characters); processes left
    behind; capabilities and set-uid programs; hostile text in details.

Not covered at the level ``process``:
    files and network of the user who runs it; this user's other processes, which a program may signal and, unless it
    was started as root and so lost its powers, look into through /proc (the caller's environment, and its memory where
    the kernel lets a user debug all processes of his own); a fork bomb as root, for which the kernel has no limit per
    user, until the deadline; the disk, by many files; kernel exploits; side channels; hostile tests. Run it where there
    is nothing to lose: a container, a machine without tokens.

Not covered by a verdict that is flagged ``in_process``: forging. Only problems whose tests use a class of the solution
need it.

Nothing runs without the user's word: ``HF_ALLOW_CODE_EVAL=1`` or ``allow_code_eval=True``.
"""

from hf_select.evaluation.sandbox.consent import is_code_execution_allowed, require_consent
from hf_select.evaluation.sandbox.level import LEVELS, Level
from hf_select.evaluation.sandbox.pool import Sandbox, check
from hf_select.evaluation.sandbox.verdict import STATUSES, Program, Status, Verdict

__all__ = [
    "LEVELS",
    "STATUSES",
    "Level",
    "Program",
    "Sandbox",
    "Status",
    "Verdict",
    "check",
    "is_code_execution_allowed",
    "require_consent",
]
