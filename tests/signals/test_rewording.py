"""Wordings that mean the same: variant 0 is the text, no two are equal, and code stays the code it was."""

import ast
import gzip
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_select.signals.rewording import reword

PYTHON = "def add(a, b):\n    if a:\n        return a + b\n\n    for x in a:\n        print(x)\n    return b\n"
NARROW = "class A:\n  def f(self):\n    return 1\n"
C = '#include <stdio.h>\nint main(void)\n{\n\tint a = 1;\n\n\tif (a) {\n\t\tputs("x  y");\n\t}\n\treturn 0;\n}\n'
LUA = "local x = 1\nfunction f(a)\n  return a\nend\n"
PROSE = "Write a function that adds two numbers.\n\nIt takes two numbers."
ALL = (PYTHON, NARROW, C, LUA, PROSE, "int f() { return 1; }", "x")


@pytest.mark.parametrize("text", ALL)
def test_no_two_variants_are_equal(text) -> None:
    for seed in (0, 7):
        variants = [reword(text, variant, seed) for variant in range(40)]
        assert variants[0] == text
        assert len(set(variants)) == 40
        folded = {" ".join(variant.split()) for variant in variants}
        assert len(folded) == 40  # also for a tokenizer that folds white space
        assert variants == [reword(text, variant, seed) for variant in range(40)]


def test_another_seed_gives_other_wordings() -> None:
    assert [reword(PYTHON, v, 0) for v in range(1, 5)] != [reword(PYTHON, v, 1) for v in range(1, 5)]


@pytest.mark.parametrize(
    "text", [PYTHON, NARROW, PYTHON.replace("    ", "\t"), '"""a\n\n  b"""\nx = 1\nif x:\n  y = """ \n"""']
)
def test_python_keeps_its_tree(text) -> None:
    tree = ast.dump(ast.parse(text))
    layouts = set()
    for variant in range(1, 41):
        reworded = reword(text, variant, 3)
        assert reworded.startswith("# ")
        assert ast.dump(ast.parse(reworded)) == tree
        layouts.add("\n".join(line for line in reworded.split("\n") if not line.startswith("#")))
    assert len(layouts) > 1


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (C, "/* "),
        ("int f() { return 1; }", "/* "),
        ("fn main() {\n    let x = 1;\n}", "/* "),
        ("SELECT a FROM b;", "/* "),
        (PYTHON, "# "),
        ("def f\n  puts 1\nend\n", "# "),
        ("if [ -f x ]; then\n  echo y\nfi\n", "# "),
        (LUA, "-- "),
    ],
)
def test_the_note_is_a_comment_of_the_language(text, start) -> None:
    for variant in range(1, 5):
        assert reword(text, variant, 0).startswith(start)


def test_prose_is_led_in() -> None:
    first = reword(PROSE, 1, 0)
    assert first.partition("\n")[0].endswith(":")
    assert " ".join(first.split()).endswith(" ".join(PROSE.split()))


@pytest.mark.parametrize("text", [C, PROSE, LUA])
def test_words_stay_in_their_order(text) -> None:
    """What is not white space or a note is untouched."""
    for variant in range(1, 30):
        assert "".join(reword(text, variant, 1).split()).endswith("".join(text.split()))


def test_the_first_line_stays_where_it_must() -> None:
    for text in ("#!/bin/sh\necho x\nfi\n", "<?php\necho 1;\n"):
        reworded = reword(text, 1, 0).split("\n")
        assert reworded[0].rstrip() == text.split("\n")[0]
        assert reworded[1].startswith(("# ", "/* "))


def test_a_literal_over_several_lines_keeps_its_white_space() -> None:
    macro = "#define F(x) \\\n    do { g(x); } \\\n    while (0)\nint a;\n"
    script = "cat <<EOF\n    a\n\n    b\nEOF\nfi\n"
    template = "const a = `\n    x\n\n    y`;\n"
    for text in (macro, script, template):
        for variant in range(1, 20):
            assert reword(text, variant, 0).rstrip("\n").endswith(text.rstrip("\n"))


def test_tabs_of_a_makefile_stay() -> None:
    makefile = "all: a\n\tcc a.c\n\n# then\nb:\n\techo\n"
    for variant in range(1, 20):
        assert "\n\tcc a.c" in reword(makefile, variant, 0)


def test_a_blank_text_has_one_wording() -> None:
    assert {reword(text, variant, 0) for text in ("", " \n") for variant in range(5)} == {"", " \n"}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(0, 30), st.integers(0, 2**32))
def test_any_text_has_its_wordings(text, variant, seed) -> None:
    reworded = reword(text, variant, seed)
    assert (reworded == text) == (variant == 0 or not text.strip())


def test_wordings_are_the_same_in_every_process() -> None:
    code = "import sys; from hf_select.signals.rewording import reword; sys.stdout.write(reword('x = 1;', 3, 9))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == reword("x = 1;", 3, 9)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")  # of the files' own literals
def test_real_files_of_python_keep_their_tree(shared_data) -> None:
    with gzip.open(shared_data / "small" / "sources_10x50.jsonl.gz", "rt") as lines:
        files = [row for row in map(json.loads, lines) if row["lang"] in ("python", "c", "java")]
    starts = {"python": "# ", "c": "/* ", "java": "/* "}
    told = [row for row in files if reword(row["content"], 1, 0).startswith(starts[row["lang"]])]
    assert (len(files), len(told) >= 135) == (150, True)
    n_compared = 0
    for row in told:
        if row["lang"] == "python":
            tree = ast.dump(ast.parse(row["content"]))
            for variant in range(1, 5):
                assert ast.dump(ast.parse(reword(row["content"], variant, 0))) == tree
            n_compared += 1
    assert n_compared >= 45
