"""Which level a sandbox gets: the user's word, or the strongest that holds here."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from hf_select.errors import ConfigError, SandboxUnavailableError
from hf_select.evaluation.sandbox.level import LEVELS, Level, get_level, rank
from hf_select.evaluation.sandbox.self_test import Trial, try_level

logger = logging.getLogger("hf_select")

VARIABLE = "HF_SELECT_SANDBOX_LEVEL"

MINIMUM = "namespaces"
"""What is needed where the user named no level: below it, files and network of the user are open."""

_REMEDIES = {
    "namespaces": (
        "allow user namespaces: sysctl user.max_user_namespaces=15000; Debian: kernel.unprivileged_userns_clone=1; "
        "Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0; in a container: --security-opt seccomp=unconfined, or "
        "a profile that lets clone, mount, pivot_root and mount_setattr through"
    ),
    "landlock": (
        "use Linux 5.13 or later with landlock in its lsm= boot parameter; in a container, one whose seccomp profile "
        "lets the three landlock calls through (Docker 20.10.10 or later)"
    ),
    "seccomp": "use a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64",
}


def choose_level(level: str | None = None, min_level: str | None = None) -> Level:
    """The level to use on this machine.

    Args:
        level: the user's own word; ``None`` asks the environment variable ``HF_SELECT_SANDBOX_LEVEL``, and without it
            takes the strongest level that holds.
        min_level: refuse if the strongest level that holds is weaker; ``None`` for ``MINIMUM``. The word of the
            environment variable goes before it: that is how a user runs below what a program asks for.

    Returns:
        The level. One other than ``process`` has passed the self-test.

    Raises:
        ConfigError: if ``level`` is weaker than ``min_level``.
        SandboxUnavailableError: if the level does not hold here, or none that is strong enough.
    """
    if level is not None and min_level is not None and rank(level) < rank(min_level):
        raise ConfigError(f"level={level!r} is weaker than min_level={min_level!r}; give one of them.")
    word = level or os.environ.get(VARIABLE)
    if word:
        return _held(word)
    lowest = rank(min_level or MINIMUM)
    failed: list[Trial] = []
    for name in reversed(LEVELS):
        if rank(name) < lowest:
            break
        trial = try_level(name)
        if trial.holds:
            if rank(name) < rank("landlock+seccomp"):
                _warn(name, failed)
            return get_level(name)
        failed.append(trial)
    raise SandboxUnavailableError(
        f"Cannot contain model-written code here: no sandbox level from {min_level or MINIMUM!r} up holds on this "
        f"machine. {_explain(failed)} Or generate here without --allow_code_eval (HF_ALLOW_CODE_EVAL) and evaluate on "
        f"another machine; or pass --sandbox_level process (level='process', or {VARIABLE}=process in the environment) "
        f"to accept that a program can {LEVELS['process'].open}."
    )


@contextlib.contextmanager
def use_level(level: str | None, *, executes_code: bool) -> Iterator[None]:
    """Make a level the user's word in this process and those that it starts; what ``--sandbox_level`` does.

    Args:
        level: a key of ``LEVELS``; ``None`` leaves the word to the environment.
        executes_code: code is going to run, so that a level which does not hold here is refused now.

    Yields:
        None: nothing; afterwards the word is what it was.
    """
    before = os.environ.get(VARIABLE)
    if level is not None:
        rank(level)
        os.environ[VARIABLE] = level
    try:
        if executes_code:
            choose_level()
        yield
    finally:
        if level is not None:
            os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def _held(name: str) -> Level:
    level = get_level(name)
    if name == "process" or (trial := try_level(name)).holds:
        return level
    weaker = [other for other in reversed(LEVELS) if rank(other) < rank(name) and try_level(other).holds]
    others = f"These hold: {', '.join(weaker)}." if weaker else "No weaker level holds either."
    raise SandboxUnavailableError(
        f"The sandbox level {name!r} does not hold on this machine. {_explain([trial])} {others}"
    )


def _explain(failed: list[Trial]) -> str:
    """Reasons and remedies in one line."""
    reasons = "; ".join(f"{trial.level}: {trial.reason}" for trial in failed)
    found = [text for layer, text in _REMEDIES.items() if any(layer in trial.reason for trial in failed)]
    return f"{reasons}." + (f" What to do: {'; '.join(found)}." if found else "")


def _warn(name: str, failed: list[Trial]) -> None:
    logger.warning(
        "Model-written code runs at the sandbox level %r: a program can %s. Stronger levels do not hold here. %s With "
        "%s=%s in the environment this is your word and is not said again.",
        name,
        LEVELS[name].open,
        _explain(failed),
        VARIABLE,
        name,
    )
