"""The self-test says what is so: of this machine, and of one that refuses what the levels need."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hf_select.errors import ConfigError, SandboxUnavailableError, UnknownNameError
from hf_select.evaluation.sandbox import LEVELS, Sandbox, check, choose_level, record_containment, self_test, use_level
from hf_select.evaluation.sandbox import choice as choosing
from hf_select.evaluation.sandbox import containment as containing
from hf_select.evaluation.sandbox.self_test import ALLOWED, Trial, trials, try_level

ROOT = Path(__file__).parents[3]


@pytest.fixture
def holding(monkeypatch):
    """Pretend that only some levels hold."""

    def pretend(*names):
        monkeypatch.delenv(choosing.VARIABLE, raising=False)
        reason = "landlock: not there; and namespaces: Operation not permitted"
        monkeypatch.setattr(choosing, "try_level", lambda name: Trial(name, "" if name in names else reason))

    return pretend


def test_every_level_is_tried_and_process_holds():
    found = trials()
    assert list(found) == ["full", "landlock+seccomp", "namespaces", "process"]
    assert found["process"].holds
    assert all(trial.holds or trial.reason for trial in found.values())


@pytest.mark.parametrize("level", ["process", "namespaces"])
def test_a_breach_is_seen(monkeypatch, level):
    """Were nothing allowed at a weak level, the self-test would name what a program could do there."""
    if not try_level(level).holds:
        pytest.skip(try_level(level).reason)
    monkeypatch.setitem(ALLOWED, level, frozenset())
    reason = self_test._find_fault(LEVELS[level])
    assert reason.startswith("a program could ")
    assert "start a process" in reason
    assert ("read a file" in reason) == (level == "process")
    assert ("connect by tcp" in reason) == (level == "process")


def test_the_strongest_level_that_holds_is_taken(holding):
    holding("process", "namespaces", "landlock+seccomp")
    assert choose_level().name == "landlock+seccomp"
    assert choose_level(min_level="namespaces").name == "landlock+seccomp"


def test_where_only_process_holds_it_is_refused_until_it_is_spelled_out(holding, caplog):
    holding("process")
    with pytest.raises(SandboxUnavailableError) as refused:
        choose_level()
    for words in (
        "Cannot contain model-written code here: no sandbox level from 'namespaces' up holds",
        "user.max_user_namespaces",
        "without --allow_code_eval (HF_ALLOW_CODE_EVAL) and evaluate on another machine",
        "--sandbox_level process",
        "read and write the user's files, use the network",
    ):
        assert words in str(refused.value)
    with caplog.at_level("WARNING", "hf_select"):
        assert choose_level("process").name == "process"
        assert caplog.text == ""
        assert choose_level(min_level="process").name == "process"
    assert "sandbox level 'process': a program can read" in caplog.text


def test_where_only_namespaces_hold_it_runs_with_a_warning(holding, caplog):
    holding("process", "namespaces")
    with caplog.at_level("WARNING", "hf_select"):
        assert choose_level().name == "namespaces"
    assert "make every system call" in caplog.text
    assert "landlock: not there" in caplog.text


def test_the_word_of_the_command_line_is_that_of_the_environment_for_a_while(holding, monkeypatch):
    holding("process")
    with use_level("process", executes_code=True):
        assert os.environ[choosing.VARIABLE] == "process"
        assert choose_level().name == "process"
    assert choosing.VARIABLE not in os.environ
    with pytest.raises(SandboxUnavailableError, match="'full' does not hold"), use_level("full", executes_code=True):
        pass
    with pytest.raises(UnknownNameError), use_level("ful", executes_code=False):
        pass
    monkeypatch.setenv(choosing.VARIABLE, "full")
    with use_level("process", executes_code=False):
        assert choose_level().name == "process"
    with use_level(None, executes_code=False):
        assert os.environ[choosing.VARIABLE] == "full"


def test_what_is_recorded_tells_why_not_a_stronger_level(monkeypatch):
    reasons = {"landlock+seccomp": "landlock: not there", "full": ""}
    monkeypatch.setattr(containing, "try_level", lambda name: Trial(name, reasons[name]))
    found = record_containment("namespaces")
    assert (found.level, found.layers) == ("namespaces", ["namespaces", "privileges", "limits"])
    assert (found.landlock_version, found.user) == (None, os.getuid())
    assert found.why_not_stronger == {
        "landlock+seccomp": "landlock: not there",
        "full": "it holds; a weaker one was asked for",
    }
    assert record_containment("full").why_not_stronger == {}


def test_a_lowest_level_refuses_with_reason_remedy_and_the_word_that_helps(holding):
    holding("process", "namespaces")
    with pytest.raises(SandboxUnavailableError) as refused:
        choose_level(min_level="landlock+seccomp")
    for words in (
        "no sandbox level from 'landlock+seccomp' up holds",
        "full: landlock: not there",
        "Linux 5.13",
        "HF_SELECT_SANDBOX_LEVEL=process",
    ):
        assert words in str(refused.value)
    with pytest.raises(SandboxUnavailableError):
        Sandbox(min_level="full", allow_code_eval=True)


def test_the_word_of_the_environment_goes_before_the_lowest_level(holding, monkeypatch):
    holding("process")
    monkeypatch.setenv(choosing.VARIABLE, "process")
    assert choose_level(min_level="full").name == "process"
    assert choose_level().name == "process"


def test_a_level_that_does_not_hold_is_refused_and_those_that_do_are_named(holding):
    holding("process", "namespaces")
    with pytest.raises(SandboxUnavailableError, match=r"'full' does not hold.*These hold: namespaces, process\."):
        choose_level("full")


def test_contradictory_words_are_an_error():
    with pytest.raises(ConfigError, match="weaker than min_level='full'"):
        choose_level("process", "full")


def test_every_verdict_names_its_level():
    names = [name for name in LEVELS if try_level(name).holds]
    for name in names:
        verdict = check("def f(): return 1", entry_point="f", tests="assert f() == 1", level=name, allow_code_eval=True)
        assert (verdict.passed, verdict.level) == (True, name)
    assert "process" in names


# As in a container whose profile lets neither Landlock nor namespaces through; the kernel itself refuses.
POOR_MACHINE = """
import errno, json, logging, sys
from hf_select.evaluation.sandbox import seccomp
from hf_select.evaluation.sandbox.kernel import prctl
from hf_select.evaluation.sandbox.syscall_number import NUMBERS
refuse = lambda number: (6, 0, 0, 0x00050000 | number)
code = [(0x20, 0, 0, 0)]
if "landlock" in sys.argv[1]:
    code += [(0x15, 0, 1, NUMBERS["landlock_create_ruleset"]), refuse(errno.ENOSYS)]
if "namespaces" in sys.argv[1]:
    code += [(0x15, 0, 3, NUMBERS["clone"]), (0x20, 0, 0, 16), (0x45, 0, 1, 0x20000000), refuse(errno.EPERM)]
prctl(38, 1)  # no_new_privs
seccomp.install([*code, (6, 0, 0, 0x7FFF0000)])
from hf_select.evaluation.sandbox import Sandbox, check
from hf_select.evaluation.sandbox.self_test import trials
arguments = dict(entry_point="f", tests="assert f() == 1", allow_code_eval=True)
try:
    verdict = check("def f(): return 1", **arguments)
except Exception as error:
    print(error, file=sys.stderr)
    verdict = check("def f(): return 1", level="process", **arguments)
forced = None
try:
    Sandbox(min_level=sys.argv[2], allow_code_eval=True)
except Exception as error:
    forced = type(error).__name__
print(json.dumps([{name: trial.reason for name, trial in trials().items()}, verdict.passed, verdict.level, forced]))
"""


@pytest.mark.parametrize(
    ("missing", "level", "refused"),
    [
        ("landlock", "namespaces", "landlock+seccomp"),
        ("namespaces", "landlock+seccomp", "full"),
        ("landlock namespaces", "process", "namespaces"),
    ],
)
def test_a_machine_that_refuses_a_layer_gets_what_is_left(missing, level, refused):
    if not try_level("full").holds:
        pytest.skip("the strongest level does not hold here, so that none of its layers can be taken away")
    environment = {name: value for name, value in os.environ.items() if name != choosing.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", POOR_MACHINE, missing, refused],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    reasons, passed, used, error = json.loads(done.stdout or "[{}, null, null, null]")
    assert (passed, used, error) == (True, level, "SandboxUnavailableError"), done.stderr
    assert re.match("(landlock: not there|namespaces: )", reasons["full"])
    assert all(reasons[name] for name in LEVELS if set(missing.split()) & set(LEVELS[name].layers)), reasons
    assert ("Cannot contain" in done.stderr) == (level == "process")
