"""Small programs in C++ and Java: what passes, what fails and how, what is contained."""

import shutil

import pytest

from hf_select.errors import CodeExecutionError, SandboxUnavailableError, UnknownNameError
from hf_select.evaluation.sandbox import choose_level
from hf_select.evaluation.task.compiled import TOOLCHAINS, check_compiled, included_headers, missing_headers

needs_cpp = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
needs_java = pytest.mark.skipif(shutil.which("javac") is None, reason="no javac here")

CPP = "#include <cassert>\n#include <cstdlib>\nint inc(int x) {{ {body} }}\nint main() {{ assert(inc(1) == 2); }}\n"
JAVA = (
    "class Solution {{ int inc(int x) {{ {body} }} }}\n"
    "public class Main {{ public static void main(String[] args) throws Exception {{\n"
    "if (new Solution().inc(1) != 2) throw new AssertionError(); }} }}\n"
)


def check(language, *bodies, timeout=10.0):
    template = {"cpp": CPP, "java": JAVA}[language]
    programs = [template.format(body=body) for body in bodies]
    verdicts = check_compiled(language, programs, timeout=timeout, allow_code_eval=True, progress=False)
    assert all(verdict.in_process for verdict in verdicts)
    return verdicts


@needs_cpp
def test_a_right_program_and_a_wrong_one_in_cpp():
    verdicts = check("cpp", "return x + 1;", "return x;")
    assert [verdict.status for verdict in verdicts] == ["passed", "failed"]
    assert {verdict.level for verdict in verdicts} == {choose_level().name}


@needs_cpp
@pytest.mark.slow
def test_cpp():
    verdicts = check(
        "cpp",
        "return x + 1;",
        "return x;",
        "return x + ;",
        "int *p = nullptr; return *p;",
        "while (true) { volatile int i = 0; (void)i; }",
        "char *p = nullptr; for (int i = 0; i < 64; i++) { p = new char[1 << 26]; p[0] = 1; } return p[0];",
        timeout=3.0,
    )
    assert [verdict.status for verdict in verdicts] == ["passed", "failed", "failed", "crashed", "timeout", "memory"]
    assert "Assertion" in verdicts[1].detail
    assert verdicts[2].detail.startswith("compiler: exit code 1; program.cpp:3:")
    assert verdicts[3].detail == "program: SIGSEGV"


@needs_java
@pytest.mark.slow
def test_java():
    verdicts = check(
        "java",
        "return x + 1;",
        "return x;",
        "return x + ;",
        "while (true) { }",
        "long[][] a = new long[64][]; for (int i = 0; i < 64; i++) a[i] = new long[1 << 23]; return a.length;",
        timeout=5.0,
    )
    assert [verdict.status for verdict in verdicts] == ["passed", "failed", "failed", "timeout", "memory"]
    assert "AssertionError" in verdicts[1].detail
    assert verdicts[2].detail.startswith("compiler: exit code 1; Main.java:1: error")


@needs_java
@pytest.mark.slow
def test_java_that_passes():
    (verdict,) = check("java", "return x + 1;")
    assert (verdict.status, verdict.detail) == ("passed", "")


@needs_cpp
def test_a_program_that_leaves_early_forges_its_verdict_and_is_flagged():
    """What cannot be told from outside: the reason why every verdict carries ``in_process``."""
    (verdict,) = check("cpp", "exit(0);")
    assert (verdict.passed, verdict.in_process) == (True, True)


@needs_cpp
@pytest.mark.slow
def test_a_body_without_a_value_never_passes():
    """What happens to lie in the register may be right: without the trap, three empty bodies of HumanEval-X pass."""
    verdicts = check("cpp", "", "volatile int y = x + 1; (void)(y + 0);", "if (x > 5) return 1;")
    assert [(verdict.status, verdict.detail) for verdict in verdicts] == [("crashed", "program: SIGILL")] * 3


@needs_cpp
def test_a_source_with_a_lone_surrogate_is_compiled():
    (verdict,) = check("cpp", 'const char *s = "\ud800"; return s ? x + 1 : 0;')
    assert verdict.passed


def test_nothing_runs_without_consent(no_consent):
    with pytest.raises(CodeExecutionError):
        check_compiled("java" if TOOLCHAINS["cpp"].missing else "cpp", [])


def test_unknown_languages_and_missing_compilers(monkeypatch):
    with pytest.raises(UnknownNameError, match="cpp, java"):
        check_compiled("c++", [], allow_code_eval=True)
    monkeypatch.setattr("shutil.which", lambda tool: None)
    assert TOOLCHAINS["java"].missing == ("javac", "java")
    with pytest.raises(SandboxUnavailableError, match=r"Programs in cpp need g\+\+, and g\+\+ cannot be found"):
        check_compiled("cpp", ["int main() {}"], allow_code_eval=True)
    assert missing_headers({"<vector>"}) == {"<vector>"}


@needs_cpp
def test_missing_headers():
    source = '#include <vector>\n #  include<no/such.hpp>\n// #include "own.h"\nint main() {}'
    assert included_headers(source) == {"<vector>", "<no/such.hpp>"}
    assert missing_headers(included_headers(source)) == {"<no/such.hpp>"}
    assert missing_headers(set()) == set()
