"""The hostile corpus: contained at every level that holds here, and seen to bite where nothing contains it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_select.evaluation.sandbox import LEVELS
from hf_select.evaluation.sandbox.jail import adopt_orphans
from hf_select.evaluation.sandbox.kernel import prctl
from hf_select.evaluation.sandbox.self_test import try_level
from tests.evaluation.sandbox.hostile import CORPUS
from tests.evaluation.sandbox.hostile.files import NOT_WEAKENED
from tests.evaluation.sandbox.outside import BEYOND, Outside, corpus, run_corpus, run_naively

pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).parents[3]
NOBODY = 65534
_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(autouse=True)
def orphans_are_seen() -> Iterator[None]:
    """Processes that are left behind become children of this one."""
    adopt_orphans()
    yield
    prctl(_PR_SET_CHILD_SUBREAPER, 0)


@pytest.fixture
def outside(tmp_path) -> Iterator[Outside]:
    made = Outside(tmp_path)
    yield made
    made.close()


def test_the_corpus_covers_every_category():
    assert sum(map(len, CORPUS.values())) == 144
    assert min(map(len, CORPUS.values())) >= 4
    assert len({name for programs in CORPUS.values() for name in programs}) > 100
    assert {level: len(corpus(level)) for level in LEVELS} == {
        "process": 86,
        "namespaces": 125,
        "landlock+seccomp": 144,
        "full": 144,
    }


SAMPLE = {
    "crash": "exit_when_called",
    "descriptors": "use_an_inherited_one",
    "disk": "big_file",
    "forged": "equal_to_everything",
    "memory": "one_block",
    "output": "print_without_end",
    "processes": "daemon",
    "secrets": "environment",
    "text": "escape_sequence",
    "time_limit": "spin",
}
"""Of every category one program; the first where none is named."""


@pytest.mark.parametrize("level", LEVELS)
def test_one_program_of_each_category_is_contained(level):
    if not try_level(level).holds:
        pytest.skip(try_level(level).reason)
    names = {category: SAMPLE.get(category, next(iter(programs))) for category, programs in CORPUS.items()}
    programs = [entry for entry in corpus(level) if names[entry[0]] == entry[1]]
    wrong, n_programs = run_corpus(level, programs)
    assert wrong == {}
    assert n_programs == len(programs) >= (9 if level == "process" else len(CORPUS) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_contained(level):
    trial = try_level(level)
    if not trial.holds:
        pytest.skip(trial.reason)
    wrong, n_programs = run_corpus(level)
    assert wrong == {}
    assert n_programs == len(corpus(level)) >= 86


@pytest.mark.slow
def test_contained_for_an_ordinary_user():
    """The same as a user without any power, in a Python that this user can read."""
    python = shutil.which("python3", path="/usr/bin")
    if os.getuid() != 0 or python is None:
        pytest.skip("needs root, to become another user, and a Python in /usr/bin")
    done = subprocess.run(
        [python, "-m", "tests.evaluation.sandbox.outside", *LEVELS],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.fspath(_site_packages()), "PYTHONDONTWRITEBYTECODE": "1"},
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    expected = [f"{level} {len(corpus(level))} {NOBODY} contained" for level in LEVELS if try_level(level).holds]
    assert done.stdout.splitlines() == expected, done.stderr


def _site_packages():
    import tqdm

    return Path(tqdm.__file__).parents[1]


@pytest.mark.slow
def test_the_level_process_alone_is_seen_to_leak():
    """The programs that only stronger levels contain do what they came for."""
    programs = [
        (category, name, code)
        for category, texts in CORPUS.items()
        for name, code in texts.items()
        if name in BEYOND["process"] and name not in NOT_WEAKENED
    ]
    wrong, n_programs = run_corpus("process", programs)
    bit = {category: [name for name in CORPUS[category] if f"{category}.{name}" in wrong] for category in CORPUS}
    assert n_programs > 40
    assert len(bit["files"]) >= 12
    assert len(bit["network"]) >= 5
    assert len(bit["secrets"]) >= 4
    assert {"kill_a_process_of_the_user", "signal_by_descriptor_owner"} <= set(bit["processes"])
    if os.uname().machine == "x86_64":
        assert len(bit["kernel"]) >= 12


def test_namespaces_alone_are_seen_to_leave_system_calls():
    if not try_level("namespaces").holds:
        pytest.skip(try_level("namespaces").reason)
    wrong, n_programs = run_corpus("namespaces", [("kernel", name, code) for name, code in CORPUS["kernel"].items()])
    assert n_programs == 17
    assert len([found for found in wrong.values() if "succeeded" in found]) >= 8


def naive(category, name, outside, **options):
    return run_naively(CORPUS[category][name], outside, **options)


def test_without_a_deadline_a_program_does_not_end(outside):
    assert naive("time_limit", "spin", outside, seconds=2.0)["exit_code"] is None


def test_without_limits_memory_is_given(outside):
    assert str(3 << 29) in naive("memory", "one_block", outside, seconds=120)["said"]


@pytest.mark.parametrize(("name", "n"), [("daemon", 1), ("forty_children", 40)])
def test_without_a_supervisor_processes_are_left_behind(outside, name, n):
    assert naive("processes", name, outside, seconds=120)["survivors"] == n


def test_without_exec_a_descriptor_is_inherited(outside):
    assert outside.token in naive("descriptors", "use_an_inherited_one", outside, seconds=120)["said"]


def test_without_a_clean_environment_a_token_is_told(outside):
    assert outside.token in naive("secrets", "environment", outside, seconds=120)["said"]


def test_without_limits_files_are_big(outside):
    assert naive("disk", "big_file", outside, seconds=120)["file_bytes"] > 60 << 20


def test_without_a_cap_output_is_kept(outside):
    assert naive("output", "print_without_end", outside, seconds=1.0)["n_bytes"] > 10 << 20


def test_without_escapes_a_message_rules_the_terminal(outside):
    assert "\x1b[2J" in naive("text", "escape_sequence", outside, seconds=120)["said"]


def test_without_a_judge_leaving_is_passing(outside):
    assert naive("crash", "exit_when_called", outside, seconds=120)["passed"]


@pytest.mark.parametrize("name", ["equal_to_everything", "number_equal_to_everything", "exit_zero_when_loaded"])
def test_without_a_judge_a_forgery_passes(outside, name):
    assert naive("forged", name, outside, seconds=120)["passed"]


FILES_HELD = """
import sys
from hf_select.evaluation.sandbox.jail import Limits, confine
confine({layers!r}, Limits(5.0, 4 << 30, 4096))
open(sys.argv[1], "w").write("x")
"""


@pytest.mark.parametrize(("layers", "is_held"), [(["privileges"], False), (["privileges", "landlock"], True)])
def test_landlock_is_what_holds_files(tmp_path, layers, is_held):
    path = tmp_path / "written"
    subprocess.run(
        [sys.executable, "-c", FILES_HELD.format(layers=layers), str(path)], cwd=ROOT, capture_output=True, check=False
    )
    assert path.exists() != is_held
