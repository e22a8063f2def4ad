"""Programs that do not solve anything and try to be counted as passed."""

import pytest

from hf_select.evaluation.benchmark import load_humaneval

FORGERIES = {
    "equal_to_everything": """
class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    def __getattr__(self, name): return self
    def __call__(self, *args): return self
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __len__(self): return 1
    def __iter__(self): return iter([self])
    def __sub__(self, other): return 0
    __rsub__ = __abs__ = __sub__
def {entry}(*args, **kwargs): return Equal()
""",
    "number_equal_to_everything": """
class Equal(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = int.__hash__
def {entry}(*args, **kwargs): return Equal(7919)
""",
    "frames": """
import gc, sys
def walk():
    frame = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            if type(value) is list: value.append("passed")
            if type(value) is dict and "status" in value: value["status"] = "passed"
        frame = frame.f_back
    for value in gc.get_objects():
        if type(value) is list and not value: value.append("passed")
walk()
def {entry}(*args, **kwargs): walk()
""",
    "decorator": """
def decorate(function):
    return lambda *args, **kwargs: None
check = decorate
import builtins
builtins.check = lambda candidate: None
@decorate
def {entry}(*args, **kwargs): return None
""",
    "exit_zero_when_called": """
import os
def {entry}(*args, **kwargs): os._exit(0)
""",
    "exit_zero_when_loaded": """
import os
os._exit(0)
""",
    "system_exit": """
import sys
def {entry}(*args, **kwargs): sys.exit(0)
""",
    "patched_builtins": """
import builtins, math
builtins.AssertionError = type("Quiet", (Exception,), {{}})
builtins.all = builtins.any = builtins.isinstance = lambda *args: True
builtins.abs = lambda value: 0
math.isclose = lambda *args, **kwargs: True
def {entry}(*args, **kwargs): return 7919
""",
    "tracing": """
import sys, threading
def trace(frame, event, argument):
    frame.f_trace_lines = False
    return trace
sys.settrace(trace); threading.settrace(trace)
def {entry}(*args, **kwargs): return 7919
""",
    "every_descriptor": """
import os
for descriptor in range(256):
    try: os.write(descriptor, b'{{"status": "passed", "detail": ""}}')
    except OSError: pass
def {entry}(*args, **kwargs): return 7919
""",
    "descriptors_of_others": """
import os
def write():
    me = os.getpid()
    for process in range(me - 6, me + 6):
        try: names = os.listdir(f"/proc/{{process}}/fd")
        except OSError: continue
        for name in names:
            try:
                there = os.open(f"/proc/{{process}}/fd/{{name}}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(there, b'{{"status": "passed", "detail": ""}}')
            except OSError: pass
write()
def {entry}(*args, **kwargs):
    write()
    return 7919
""",
    "late_thread": """
import os, threading, time
def later():
    for _ in range(20):
        time.sleep(0.01)
        for descriptor in range(3, 16):
            try: os.write(descriptor, b'{{"status": "passed", "detail": ""}}')
            except OSError: pass
threading.Thread(target=later, daemon=True).start()
def {entry}(*args, **kwargs):
    time.sleep(0.1)
    return 7919
""",
    "always_true_exceptions": """
class Quiet(BaseException):
    def __eq__(self, other): return True
def {entry}(*args, **kwargs): raise Quiet()
""",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_constant_completion_passes_no_problem(sandbox, name):
    problems = load_humaneval()[::9]
    programs = [
        problem.program(problem.prompt + "    pass\n" + _forge(name, problem.entry_point)) for problem in problems
    ]
    verdicts = sandbox.check_many(programs, progress=False)
    assert len(verdicts) == 19
    assert [problem.task_id for problem, verdict in zip(problems, verdicts, strict=True) if verdict.passed] == []


def test_the_same_problems_are_passed_by_their_solutions(sandbox):
    problems = load_humaneval()[::9]
    verdicts = sandbox.check_many([problem.program(problem.solution) for problem in problems], progress=False)
    assert all(verdict.passed for verdict in verdicts)


def test_a_program_cannot_reach_its_judge_or_supervisor(sandbox):
    """The memory and the descriptors of the processes that know the verdict are closed to the program."""
    code = """
import os
def reach():
    me, parent = os.getpid(), os.getppid()
    reached = []
    for process in (parent, me + 1, me - 1):
        for path in ("mem", "fd", "environ"):
            try:
                if path == "fd": os.readlink(f"/proc/{process}/fd/0")
                else: open(f"/proc/{process}/{path}", "rb").close()
                reached.append((process - me, path))
            except OSError: pass
    os.readlink("/proc/self/fd/0")
    return reached
"""
    verdict = sandbox.check(code, entry_point="reach", tests="found = reach()\nassert found == [], found")
    assert verdict.passed, verdict.detail


def test_memory_of_the_program_holds_no_test(sandbox):
    code = """
import re
def search(start, end):
    word, found = (start + end).encode(), 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            low, high, rights = re.match(r"(\\w+)-(\\w+) (\\S+)", line).groups()
            if rights.startswith("r") and not line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                try:
                    memory.seek(int(low, 16))
                    found += memory.read(int(high, 16) - int(low, 16)).count(word)
                except OSError: pass
    return found
"""
    # The word is put together by the search itself once or a few times; the test repeats it a hundred times.
    tests = "word = '" + "needle_in_a_haystack " * 100 + "'\nassert search('needle_in', '_a_haystack') < 50"
    verdict = sandbox.check(code, entry_point="search", tests=tests)
    assert verdict.passed, verdict.detail
    forged = sandbox.check(code, entry_point="search", tests=tests, in_process=True)
    assert not forged.passed  # where the tests are in the same process the search finds them


def _forge(name: str, entry_point: str) -> str:
    return FORGERIES[name].format(entry=entry_point)
