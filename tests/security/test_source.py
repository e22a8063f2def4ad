"""What no line of this repository may do, read from its syntax: trust code of a repository, or unpickle a download."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted(
    path
    for folder in ("hf_select", "callbacks", "recipes", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
    if "sandbox" not in path.parts or folder == "hf_select"
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:python|py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
UNPICKLERS = {
    "pickle": {"load", "loads", "Unpickler"},
    "cPickle": {"load", "loads", "Unpickler"},
    "dill": {"load", "loads"},
    "cloudpickle": {"load", "loads"},
    "joblib": {"load"},
    "shelve": {"open"},
    "marshal": {"load", "loads"},
}


def parsed() -> Iterator[tuple[str, ast.AST]]:
    """Every module, and every block of Python on a page."""
    for path in PYTHON:
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))
    for page in PAGES:
        for n, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
            try:
                tree = ast.parse(block)
            except SyntaxError:  # a fragment with `...` between lines of other languages
                continue
            yield f"{page.relative_to(ROOT)}, block {n}", tree


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str, str]]:
    """Calls, with the name before the last dot and the name called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            before = node.func.value
            yield node, before.id if isinstance(before, ast.Name) else "", node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node, "", node.func.id


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((given.value for given in call.keywords if given.arg == name), None)


def is_literal(value: ast.expr | None, wanted: object) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


def trusted(tree: ast.AST) -> list[int]:
    """Lines that say anything but ``False`` of remote code, hand the word on, or leave it to a question."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg == "trust_remote_code":
            lines.append(node.lineno)
        if isinstance(node, ast.AnnAssign | ast.Assign) and "trust_remote_code" in ast.unparse(node).split("=")[0]:
            lines.append(node.lineno)
        if isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            lines.append(node.lineno)
    for call, _, _ in calls(tree):
        given = keyword(call, "trust_remote_code")
        if given is not None and not is_literal(given, False):
            lines.append(call.lineno)
    return lines


def unpickled(tree: ast.AST) -> list[int]:
    """Lines that turn a pickle into objects."""
    lines = []
    for call, module, name in calls(tree):
        if name in UNPICKLERS.get(module, ()) or name == "read_pickle":
            lines.append(call.lineno)
        if module == "torch" and name == "load" and not is_literal(keyword(call, "weights_only"), True):
            lines.append(call.lineno)
        if name == "load" and not is_literal(keyword(call, "allow_pickle") or ast.Constant(value=False), False):
            lines.append(call.lineno)
        if name == "register_for_checkpointing":  # accelerate loads those with weights_only=False
            lines.append(call.lineno)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in UNPICKLERS:
            lines += [node.lineno for alias in node.names if alias.name in UNPICKLERS[node.module]]
    return lines


TREES = dict(parsed())
SEEN_TO_FAIL = {
    "AutoModel.from_pretrained(name, trust_remote_code=True)": trusted,
    "AutoModel.from_pretrained(name, trust_remote_code=args.trust)": trusted,
    "AutoModel.from_pretrained(name, **{'trust_remote_code': 1})": trusted,
    "def load(name, trust_remote_code=False): ...": trusted,
    "class Arguments:\n    trust_remote_code: bool = False": trusted,
    "pickle.load(file)": unpickled,
    "from pickle import loads": unpickled,
    "torch.load(path)": unpickled,
    "torch.load(path, weights_only=False)": unpickled,
    "np.load(path, allow_pickle=True)": unpickled,
    "joblib.load(path)": unpickled,
    "pandas.read_pickle(path)": unpickled,
    "accelerator.register_for_checkpointing(state)": unpickled,
}


def test_there_is_much_to_read():
    assert len(PYTHON) > 300
    assert len(TREES) > len(PYTHON) + 20


@pytest.mark.parametrize("code", SEEN_TO_FAIL)
def test_the_check_sees_what_it_is_for(code):
    assert SEEN_TO_FAIL[code](ast.parse(code))


def test_code_of_a_repository_is_never_trusted():
    assert {place: lines for place, tree in TREES.items() if (lines := trusted(tree))} == {}


def test_nothing_that_was_downloaded_is_unpickled():
    assert {place: lines for place, tree in TREES.items() if (lines := unpickled(tree))} == {}


def test_a_name_is_never_loaded_without_the_word_false():
    """Without it ``transformers`` asks at the terminal whether to run the code, and waits."""
    asked = {
        (place, call.lineno)
        for place, tree in TREES.items()
        for call, module, name in calls(tree)
        if place.startswith(("hf_select/", "callbacks/", "recipes/"))
        and name == "from_pretrained"
        and module.startswith("Auto")
        and not is_literal(keyword(call, "trust_remote_code"), False)
    }
    n_loaded = sum(name == "from_pretrained" for tree in TREES.values() for _, _, name in calls(tree))
    assert n_loaded >= 12
    assert not asked
