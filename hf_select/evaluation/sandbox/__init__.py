"""The sandbox: model-written programs meet their tests, and the verdict is formed outside the process that runs them.

    caller ── exec ──> worker ── fork ──> supervisor of one program ── fork ──> candidate: the program, no test
                                                                    └─ fork ──> judge: the tests, no program
    candidate <── calls and answers as plain data ──> judge ── verdict ──> supervisor ──> caller

The candidate is forked before the tests are read, and the judge alone holds the pipe that a verdict comes from. Objects
that equal everything, decorators on ``check``, walks through the frames and early exits therefore do not pass.

The levels, each with what it contains beside the one before and what stays open, are ``LEVELS``; a self-test tells
which hold on a machine, and the strongest that does is taken, ``process`` only where the user spells it out:

    process             own process, clean environment, limits: not the user's files and network
    namespaces          an empty root with a read-only Python, no network, no other process
    landlock+seccomp    the same for files and network without namespaces, and few system calls: for containers
    full                both

Contained at every level: forged verdicts; tests read from memory; inherited environment, descriptors and memory
(workers are started by exec, never forked from the caller); time (one deadline for the whole program, then SIGKILL);
memory, file size, open files, core dumps; output (none is kept, answers are capped at 64 MiB, details at 300
characters); processes left behind; capabilities and set-uid programs; hostile text in details.

Contained at none: mistakes in the kernel's system calls (fewer of them are within reach with seccomp); side channels;
hostile tests. At ``process`` run it where there is nothing to lose: a container, a machine without tokens.

Not covered by a verdict that is flagged ``in_process``: forging. Only problems whose tests use a class of the solution
need it.

Nothing runs without the user's word: ``HF_ALLOW_CODE_EVAL=1`` or ``allow_code_eval=True``.
"""

from hf_select.evaluation.sandbox.choice import choose_level, use_level
from hf_select.evaluation.sandbox.consent import is_code_execution_allowed, require_consent
from hf_select.evaluation.sandbox.containment import Containment, record_containment
from hf_select.evaluation.sandbox.launch import confine
from hf_select.evaluation.sandbox.level import LEVELS, Level
from hf_select.evaluation.sandbox.pool import Sandbox, check
from hf_select.evaluation.sandbox.self_test import Trial, trials
from hf_select.evaluation.sandbox.verdict import STATUSES, Program, Status, Verdict

__all__ = [
    "LEVELS",
    "STATUSES",
    "Containment",
    "Level",
    "Program",
    "Sandbox",
    "Status",
    "Trial",
    "Verdict",
    "check",
    "choose_level",
    "confine",
    "is_code_execution_allowed",
    "record_containment",
    "require_consent",
    "trials",
    "use_level",
]
