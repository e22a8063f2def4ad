"""Programs of compiled languages: compiled and run with their tests in a jail, by the exit status of the test program.

The program and its tests are compiled into one: a C++ test fails by an assertion, a Java test by an exception. So a
hostile program can forge its verdict: ``exit(0)`` or ``System.exit(0)`` before the first test, a macro that redefines
``assert``, a static initialiser that ends the process. Every verdict is therefore flagged ``in_process``. What it does
to the machine is contained by a level of the sandbox, the compiler as a ``tool`` that may write into the job's folder
and start processes, the program as one that may write nowhere and start none (see
``hf_select.evaluation.task.jailed``).

A JVM reserves far more addresses than it uses, so the limit of its address space is replaced by one of the memory that
it may write (``RLIMIT_DATA``), beside ``-Xmx``; its threads are few (``-XX:+UseSerialGC``) and counted by
``RLIMIT_NPROC``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_select.errors import SandboxUnavailableError, unknown_name
from hf_select.evaluation.sandbox.verdict import Verdict
from hf_select.evaluation.task.jailed import Job, run_jobs
from hf_select.evaluation.task.launcher import Step

DEFAULT_TIMEOUT = 10.0
COMPILE_SECONDS = 60.0
_GIB = 1 << 30
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:ReservedCodeCacheSize=64m")
_COMPILER_FILES = ("/bin", "/usr/bin", "/usr/include", "/usr/libexec", "/usr/local", "/etc/alternatives")
_INCLUDE = re.compile(r"^\s*#\s*include\s*(<[^>\n]+>)", re.MULTILINE)


@dataclass(frozen=True)
class Toolchain:
    """How programs of one language become processes.

    Attributes:
        language: its key in ``TOOLCHAINS``.
        file: name of the source file.
        tools: the executables that it takes, the compiler first.
    """

    language: str
    file: str
    tools: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Its executables that are not on this machine."""
        return tuple(tool for tool in self.tools if shutil.which(tool) is None)

    def steps(self, timeout: float) -> tuple[Step, ...]:
        """The commands that compile and run a program.

        Args:
            timeout: seconds that the compiled program may take.

        Returns:
            The steps of a job.

        Raises:
            SandboxUnavailableError: if a tool is not on this machine.
        """
        if self.missing:
            raise SandboxUnavailableError(
                f"Programs in {self.language} need {' and '.join(self.tools)}, and {' and '.join(self.missing)} cannot "
                f"be found on the PATH. Install it, or generate here and execute on a machine that has it."
            )
        paths = [shutil.which(tool) or "" for tool in self.tools]
        if self.language == "cpp":
            # A function that ends without a value gives what lies in a register, at times the right one: let it trap.
            strict = ("-fsanitize=return", "-fsanitize-undefined-trap-on-error")
            compile_command = [paths[0], "-std=c++17", "-w", *strict, self.file, "-o", "program", "-lm"]
            run_command = ["{folder}/program"]
        else:
            paths = [str(Path(path).resolve()) for path in paths]  # not by way of /etc/alternatives
            compile_command = [paths[0], *(f"-J{flag}" for flag in _JVM), "-J-Xmx512m", "-nowarn", "-proc:none"]
            compile_command += ["-encoding", "UTF-8", self.file]
            run_command = [paths[1], *_JVM, "-Xmx512m", "-XX:MaxMetaspaceSize=128m", "-cp", "{folder}", "Main"]
        is_jvm = self.language == "java"
        installed = [file for path in paths for file in _installation(path)]
        return (
            Step(
                name="compiler",
                command=compile_command,
                seconds=COMPILE_SECONDS,
                memory_bytes=2 * _GIB,
                counts_data_only=is_jvm,
                kind="tool",
                readable=[*_COMPILER_FILES, *installed],
                writable=["{folder}"],
            ),
            Step(
                name="program",
                command=run_command,
                seconds=timeout,
                memory_bytes=_GIB,
                counts_data_only=is_jvm,
                kind="program",
                readable=["{folder}", *(installed if is_jvm else ())],
                writable=[],
            ),
        )


def _installation(tool: str) -> list[str]:
    """What belongs to an executable: its prefix, unless that is the system's, and for Java its settings in ``/etc``."""
    real = Path(tool).resolve()
    prefix = real.parent.parent
    own = [] if str(prefix) in ("/", "/usr", "/usr/local") else [str(prefix)]
    return [tool, str(real), *own, *sorted(str(path) for path in Path("/etc").glob("*java*"))]


TOOLCHAINS: dict[str, Toolchain] = {
    toolchain.language: toolchain
    for toolchain in (Toolchain("cpp", "program.cpp", ("g++",)), Toolchain("java", "Main.java", ("javac", "java")))
}
"""Every compiled language by name."""


def check_compiled(
    language: str,
    programs: Sequence[str],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    level: str | None = None,
    n_workers: int | None = None,
    allow_code_eval: bool | None = None,
    progress: bool = True,
) -> list[Verdict]:
    """Compile and run programs that hold their own tests.

    Args:
        language: a key of ``TOOLCHAINS``.
        programs: (P,) whole source texts: program, tests, and in Java a class ``Main``.
        timeout: seconds a compiled program may take.
        level: how compiler and programs are contained, as in ``Sandbox``.
        n_workers: programs at a time; the number of usable processors by default.
        allow_code_eval: the user's word; ``None`` asks ``HF_ALLOW_CODE_EVAL``.
        progress: show a progress bar.

    Returns:
        (P,) verdicts, all flagged ``in_process``.

    Raises:
        UnknownNameError: if there is no such language.
    """
    if language not in TOOLCHAINS:
        raise unknown_name("compiled language", language, TOOLCHAINS)
    toolchain = TOOLCHAINS[language]
    steps = toolchain.steps(timeout)
    # Only a program that asks for OpenSSL is linked with it: it may not be there.
    linked = [{**steps[0], "command": [*steps[0]["command"], "-lcrypto"]}, *steps[1:]]
    jobs = [
        Job({toolchain.file: source}, tuple(linked) if "<openssl/" in source else steps, in_process=True)  # type: ignore[arg-type]
        for source in programs
    ]
    return run_jobs(jobs, level=level, n_workers=n_workers, allow_code_eval=allow_code_eval, progress=progress)


def included_headers(source: str) -> set[str]:
    """Headers that a C++ source includes.

    Args:
        source: source text.

    Returns:
        The headers as they stand there, for example ``<vector>``.
    """
    return set(_INCLUDE.findall(source))


def missing_headers(headers: Collection[str]) -> set[str]:
    """Headers that the compiler does not find.

    Args:
        headers: headers as ``included_headers`` gives them, from trusted sources.

    Returns:
        Those that are missing; all of them where there is no compiler.
    """
    compiler = shutil.which("g++")
    if compiler is None or not headers:
        return set(headers)
    asked = "".join(f"#if !__has_include({header})\nmissing {header}\n#endif\n" for header in sorted(headers))
    command = [compiler, "-std=c++17", "-E", "-P", "-x", "c++", "-"]
    told = subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout
    return {line.removeprefix("missing ").strip() for line in told.splitlines() if line.startswith("missing ")}
