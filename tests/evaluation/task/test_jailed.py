import json
import os
import sys
import time
from pathlib import Path

import pytest

from hf_select.errors import CodeExecutionError
from hf_select.evaluation.sandbox import LEVELS
from hf_select.evaluation.sandbox.interpreter import standard_library
from hf_select.evaluation.sandbox.self_test import try_level
from hf_select.evaluation.task import jailed
from hf_select.evaluation.task.jailed import Job, run_jobs
from hf_select.evaluation.task.launcher import Step

PYTHON = os.path.realpath(sys.executable)


def python(code, seconds=10.0, memory_bytes=1 << 30, name="program", writable=("{folder}",)):
    return Step(
        name=name,
        command=[PYTHON, "-I", "-S", "-c", code],
        seconds=seconds,
        memory_bytes=memory_bytes,
        counts_data_only=False,
        kind="program",
        readable=["{folder}", PYTHON, *standard_library()],
        writable=list(writable),
    )


def run(*steps, files=None, level="process"):
    job = Job(files or {}, steps, in_process=True)
    (verdict,) = run_jobs([job], level=level, n_workers=1, allow_code_eval=True, progress=False)
    return verdict


@pytest.mark.parametrize(
    ("code", "status", "detail"),
    [
        ("pass", "passed", ""),
        ("raise SystemExit(7)", "failed", "program: exit code 7"),
        ("raise SystemExit(3)", "refused", "program: exit code 3"),
        ("raise SystemExit(125)", "failed", "program: exit code 125"),  # the launcher's own code tells nothing
        ("raise ValueError('no')", "failed", "program: exit code 1; ValueError: no"),
        ("import os; os.kill(os.getpid(), 11)", "crashed", "program: SIGSEGV"),
        ("import os; os.abort()", "failed", "program: SIGABRT"),
        ("x = bytearray(2 << 30)", "memory", "program: exit code 1; MemoryError"),
        ("print('a\\x1b[31mb' * 1000); raise SystemExit(1)", "failed", None),
    ],
)
def test_the_exit_status_is_the_verdict(code, status, detail):
    verdict = run(python(code))
    assert (verdict.status, verdict.passed) == (status, status == "passed")
    assert detail is None or verdict.detail == detail
    assert len(verdict.detail) <= 300
    assert verdict.detail.isprintable()
    assert verdict.in_process
    assert verdict.level == "process"


def test_the_deadline_ends_a_program():
    started = time.monotonic()
    verdict = run(python("while True: pass", seconds=0.5))
    assert verdict.status == "timeout"
    assert time.monotonic() - started < 60


def test_steps_share_a_folder_and_stop_at_the_first_failure():
    write = python("open('made', 'w').write(open('given').read())")
    read = python("assert open('made').read() == 'text ü'")
    assert run(write, read, files={"given": "text ü"}).status == "passed"
    verdict = run(python("raise SystemExit(3)", name="compiler"), write, files={"given": ""})
    assert (verdict.status, verdict.detail) == ("failed", "compiler: exit code 3")  # only the last step may refuse


def test_the_environment_is_empty_and_the_home_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    code = (
        "import os, json; "
        f"open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps([sorted(os.environ), os.environ['HOME'], os.getcwd(), "
        "sorted(os.listdir('/proc/self/fd'))]))"
    )
    assert run(python(code)).status == "passed"
    names, home, folder, descriptors = json.loads((tmp_path / "seen").read_text())
    assert names == ["HOME", "LANG", "PATH", "PYTHONHASHSEED", "TMPDIR"]
    assert home == folder
    assert not Path(home).exists()
    assert len(descriptors) == 5  # input, output, errors, the file of this test, and the one that lists them


def test_much_output_neither_stalls_nor_fills():
    assert run(python("import sys\nfor _ in range(2000): sys.stdout.write('x' * 10000)")).status == "passed"


def test_what_a_program_leaves_behind_is_ended(tmp_path):
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        f"while not os.path.exists({str(tmp_path / 'pid')!r}) or not os.path.getsize({str(tmp_path / 'pid')!r}):\n"
        "    time.sleep(0.01)\n"
    )
    assert run(python(code)).status == "passed"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_that_ends_its_launcher_has_crashed():
    verdict = run(python("import os, time; os.kill(os.getppid(), 9); time.sleep(30)"))
    assert (verdict.status, verdict.detail) == ("crashed", "the launcher of the program was ended")


def test_nothing_runs_without_consent(no_consent, tmp_path):
    with pytest.raises(CodeExecutionError, match="HF_ALLOW_CODE_EVAL"):
        run_jobs([Job({}, (python(f"open({str(tmp_path / 'ran')!r}, 'w')"),), in_process=False)])
    assert not (tmp_path / "ran").exists()


def test_verdicts_come_in_order():
    jobs = [Job({}, (python(f"raise SystemExit({number % 2})"),), in_process=False) for number in range(6)]
    verdicts = run_jobs(jobs, n_workers=3, allow_code_eval=True, progress=False)
    assert [verdict.status for verdict in verdicts] == ["passed", "failed"] * 3
    assert not any(verdict.in_process for verdict in verdicts)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("code", "status", "detail"),
    [
        ("raise SystemExit(0)", "passed", ""),
        ("raise SystemExit(7)", "failed", "program: exit code 7"),
        ("import os; os.kill(os.getpid(), 11)", "crashed", "program: SIGSEGV"),
        ("import os; os.abort()", "failed", "program: SIGABRT"),
    ],
)
def test_every_level_gives_the_same_verdict_and_is_named(level, code, status, detail):
    if not try_level(level).holds:
        pytest.skip(try_level(level).reason)
    verdict = run(python(code), level=level)
    assert (verdict.status, verdict.detail, verdict.level) == (status, detail, level)


def test_a_folder_that_is_filled_ends_the_program():
    code = "i = 0\nwhile True:\n    open(str(i), 'wb').write(bytes(8 << 20)); i += 1"
    verdict = run(python(code, seconds=60.0))
    assert (verdict.status, verdict.detail) == ("crashed", "program: it wrote more files than a program may have")


def test_what_cannot_be_started_is_an_infrastructure_error_and_is_tried_twice(monkeypatch):
    tried = []
    once = jailed._run
    monkeypatch.setattr(jailed, "_run", lambda *arguments: tried.append(1) or once(*arguments))
    step = python("pass")
    verdict = run({**step, "command": ["/no/such/program"]})
    assert (verdict.status, verdict.detail) == ("infra_error", "program: [Errno 2] No such file or directory")
    assert len(tried) == 2
    assert run(step).passed
    assert len(tried) == 3
