"""The house keeps its own rules: links, layering, quick import, sizes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for folder in ("hf_select", "callbacks", "recipes")
    for path in (ROOT / folder).rglob("*.py")
    if "hf_select/callbacks" not in str(path)
)


def imports_of(path):
    """Modules that a file imports, also inside functions, but not for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_links_lead_to_the_given_places():
    for link, target in (("callbacks", "../callbacks"), ("model_card_template.md", "../model_card_template.md")):
        path = ROOT / "hf_select" / link
        assert path.is_symlink()
        assert str(path.readlink()) == target


def test_importing_the_package_loads_no_heavy_library():
    heavy = ("torch", "transformers", "datasets", "numpy")
    code = f"import sys, hf_select; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.strip() == "[]"


def test_every_public_name_is_there():
    import hf_select

    assert len(hf_select.__all__) == 23
    for name in hf_select.__all__:
        assert getattr(hf_select, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'selct'"):
        _ = hf_select.selct


@pytest.mark.parametrize("order", ["hf_select.select, hf_select.extract", "hf_select"])
def test_a_verb_is_the_function_whatever_was_imported_first(order):
    code = f"import {order}; from hf_select import extract, select; print(callable(select), callable(extract))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.strip() == "True True"


def test_methods_know_no_model_and_nothing_imports_the_recipes():
    assert len(SOURCES) > 100
    for path in SOURCES:
        modules = set(imports_of(path))
        assert not any(module.split(".")[0] == "recipes" for module in modules), path
        if "methods" in path.parts:
            allowed = {"numpy", "scipy", "sklearn", "faiss", "hf_select"} | set(sys.stdlib_module_names)
            assert {module.split(".")[0] for module in modules} <= allowed, path
            ours = {module for module in modules if module.startswith("hf_select.")}
            assert all(
                module.startswith(
                    (
                        "hf_select.methods",
                        "hf_select.signals.keys",
                        "hf_select.signals.table",
                        "hf_select.budget",
                        "hf_select.errors",
                    )
                )
                for module in ours
            ), path


def test_files_hold_one_idea():
    assert {str(path): n for path in SOURCES if (n := len(path.read_text().splitlines())) > 300} == {}


def test_no_remote_code_is_ever_trusted():
    assert [path for path in SOURCES if "trust_remote_code=True" in path.read_text().replace(" ", "")] == []
