"""From what a model wrote to a program: the code without its fences, its chatter, its examples and its broken end."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Sequence

from hf_select.evaluation.problem import Problem
from hf_select.evaluation.source import bound_names, definitions, parse, used_names

_FENCE = re.compile(r"^[ \t]*```[^\n]*$", re.MULTILINE)
_CODE_LINE = re.compile(r"^(?:import |from |def |async def |class |@)", re.MULTILINE)
_FUTURE = "from __future__ "


def sanitize(completion: str, problem: Problem, stop: Sequence[str] = ()) -> str:
    """Make a program of a completion.

    In order: the fenced block that defines the entry point, or the first; nothing from the first stop string on; the
    longest start of lines that compiles, as a program of its own (behind the imports and helper functions of the
    prompt) or as the continuation of the prompt, whichever keeps more; without statements at the top that only use the
    entry point or print. No line is changed but for the indentation of a body that came without any.

    Args:
        completion: what the model wrote.
        problem: gives the prompt and the entry point.
        stop: strings at which the completion ends.

    Returns:
        The program. Where nothing compiles it does not define the entry point, and fails.
    """
    code = cut(_unfenced(completion.replace("\r\n", "\n"), problem), stop)
    alone = longest_compiling_start(code)
    whole = _whole(alone, problem) if problem.entry_point in definitions(alone) else _continued(code, problem)
    return _without_examples(whole, problem.entry_point)


def cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop string.

    Args:
        text: any text.
        stop: the strings.

    Returns:
        The start of the text.
    """
    return text[: min((place for string in stop if (place := text.find(string)) >= 0), default=len(text))]


def longest_compiling_start(source: str) -> str:
    """The longest start of whole lines that compiles.

    A syntax error reported on a line is an error of every start that holds this line, so each try cuts there: a few
    tries where one per line, or per pair of lines, would also find it.

    Args:
        source: source text.

    Returns:
        The start, perhaps empty.
    """
    lines = source.replace("\x00", "\n").splitlines(keepends=True)
    while lines:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile("".join(lines), "<completion>", "exec", dont_inherit=True)
        except SyntaxError as error:
            lines = lines[: min(max((error.lineno or len(lines)) - 1, 0), len(lines) - 1)]
        except (ValueError, RecursionError, MemoryError):
            lines = lines[:-1]
        else:
            break
    return "".join(lines)


def _n_lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())


def _unfenced(text: str, problem: Problem) -> str:
    """Of the parts between fences the first that defines the entry point, else the one that best continues the prompt.

    A fence may be missing on either side: the prompt may have opened the block, or the model was cut off inside it.
    """
    parts = [part.lstrip("\n") for part in _FENCE.split(text)]
    for part in parts:
        code = _from_first_code_line(part, problem.entry_point)
        if code is not None:
            return code
    return max(parts, key=lambda part: _n_lines(_continued(part, problem)))


def _from_first_code_line(text: str, entry_point: str) -> str | None:
    """The text from its start, or from the first line of code behind chatter, if that defines the entry point."""
    if not re.search(rf"^(async )?def {re.escape(entry_point)}\b", text, re.MULTILINE):
        return None
    starts = [0, *(match.start() for match in _CODE_LINE.finditer(text))]
    return next((text[at:] for at in starts if entry_point in definitions(longest_compiling_start(text[at:]))), None)


def _continued(code: str, problem: Problem) -> str:
    """The prompt with the code as its continuation; a body that came without indentation is indented."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    # Python's ``max`` keeps the first of equals: the text as the model wrote it.
    return max((longest_compiling_start(problem.prompt + text) for text in (code, body)), key=_n_lines)


def _whole(code: str, problem: Problem) -> str:
    """A program of its own, behind those imports and helpers of the prompt that it does not bring itself."""
    tree = parse(problem.prompt) or parse(f"{problem.prompt}    pass\n")
    own = definitions(code)
    given = [
        ast.get_source_segment(problem.prompt, node) or ""
        for node in (tree.body if tree is not None else ())
        if isinstance(node, ast.Import | ast.ImportFrom)
        or not (isinstance(node, ast.Expr) or bound_names(node) & (own.keys() | {problem.entry_point}))
    ]
    before = "".join(f"{text}\n" for text in given)
    lines = code.splitlines(keepends=True)
    future = [line for line in lines if line.startswith(_FUTURE)]  # must stay first
    return "".join(future) + before + "".join(line for line in lines if not line.startswith(_FUTURE))


def _without_examples(program: str, entry_point: str) -> str:
    """Drop what models add below a solution: prints, asserts, a main block, calls of the entry point."""
    tree = parse(program)
    if tree is None:
        return program
    lines = program.splitlines(keepends=True)
    kept = {number for node in tree.body if not _is_example(node, entry_point) for number in _line_numbers(node)}
    dropped = {number for node in tree.body if _is_example(node, entry_point) for number in _line_numbers(node)} - kept
    return "".join(line for number, line in enumerate(lines, start=1) if number not in dropped)


def _line_numbers(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _is_example(node: ast.stmt, entry_point: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
        return False
    used = used_names(node)
    if isinstance(node, ast.Assert) or (isinstance(node, ast.If) and "__name__" in used):
        return True
    if isinstance(node, ast.Expr) and used & {"print", "input"}:
        return True
    return entry_point in used and entry_point not in bound_names(node)
