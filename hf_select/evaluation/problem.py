"""One programming problem: what a model is asked, and what its program has to pass."""

from __future__ import annotations

from dataclasses import dataclass

from hf_select.evaluation.sandbox.verdict import Program


@dataclass(frozen=True)
class Problem:
    r"""A problem of a benchmark.

    Attributes:
        task_id: its name, unique in its benchmark.
        prompt: the start of a program that a model continues; ``prompt + completion`` is the whole program.
        entry_point: the function that the tests call.
        canonical_solution: the reference continuation of the prompt.
        tests: source texts executed in order; an exception is a failure.
        setup: source texts executed before the tests, without the program.
        description: the task in words, for models that are asked rather than given a start; the prompt where empty.
        in_process: the tests use a class of the solution, so they must run in its process (the verdict can be forged).
        timeout: seconds for a program; ``None`` for the sandbox's own limit.
        max_memory_bytes: address space for a program; ``None`` for the sandbox's own limit.

    Example:
        >>> inc = Problem("0", "def inc(x):\n", "inc", "    return x + 1\n", ("assert inc(1) == 2",))
        >>> print(inc.solution)
        def inc(x):
            return x + 1
        <BLANKLINE>
    """

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    tests: tuple[str, ...]
    setup: tuple[str, ...] = ()
    description: str = ""
    in_process: bool = False
    timeout: float | None = None
    max_memory_bytes: int | None = None

    @property
    def solution(self) -> str:
        """The whole reference program."""
        return self.prompt + self.canonical_solution

    def program(self, source: str) -> Program:
        """A program for this problem, ready for the sandbox.

        Args:
            source: the whole program.

        Returns:
            The program with the problem's tests.
        """
        return Program(
            completion=source,
            entry_points=(self.entry_point,),
            tests=self.tests,
            setup=self.setup,
            in_process=self.in_process,
            timeout=self.timeout,
            max_memory_bytes=self.max_memory_bytes,
        )
