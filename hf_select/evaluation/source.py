"""Reading Python source without running it: which names it binds, uses and brings in."""

from __future__ import annotations

import ast
import builtins
import warnings

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def parse(source: str) -> ast.Module | None:
    """Parse a program, silently.

    Args:
        source: source text.

    Returns:
        Its tree; ``None`` where it is not Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes are the author's business
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def bound_names(statement: ast.stmt) -> set[str]:
    """Names that a statement binds in its own scope; for a definition or an import, its name.

    Args:
        statement: a statement.

    Returns:
        The names.
    """
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, _DEFINITIONS):
            names.add(node.name)
    return names


def used_names(tree: ast.AST) -> set[str]:
    """Names that are read anywhere inside.

    Args:
        tree: a tree or a statement.

    Returns:
        The names.
    """
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def free_names(source: str) -> set[str]:
    """Names that a program reads and nothing in it binds, built-ins aside: what it expects to be given.

    Args:
        source: source text; unparsable text expects nothing.

    Returns:
        The names.
    """
    tree = parse(source)
    if tree is None:
        return set()
    bound = set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            bound |= bound_names(node)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return used_names(tree) - bound


def definitions(source: str) -> dict[str, ast.stmt]:
    """Functions and classes at the top of a program.

    Args:
        source: source text; unparsable text has none.

    Returns:
        The last definition of each name.
    """
    tree = parse(source)
    return {} if tree is None else {node.name: node for node in tree.body if isinstance(node, _DEFINITIONS)}


def imports(source: str) -> dict[str, str]:
    """Import statements at the top of a program.

    Args:
        source: source text; unparsable text has none.

    Returns:
        The statement behind each name that it binds.
    """
    tree = parse(source)
    if tree is None:
        return {}
    return {
        name: ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in bound_names(node)
    }
