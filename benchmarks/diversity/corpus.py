"""Vectors that resemble embeddings of code: LSA of the Python functions that are installed beside the interpreter."""

import ast
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MIN_LINES, MAX_LINES = 4, 80


def functions() -> Iterator[str]:
    """Source of every different function of the standard library and the installed packages, in a fixed order."""
    seen = set()
    roots = (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"])
    for path in (path for root in roots for path in sorted(Path(root).rglob("*.py"))):
        try:
            source = path.read_text(encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(source)
        except (SyntaxError, UnicodeDecodeError, ValueError, OSError):
            continue  # some installed files are broken on purpose: they test parsers
        lines = source.splitlines()
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and MIN_LINES <= node.end_lineno - node.lineno < MAX_LINES:
                text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                if text not in seen:
                    seen.add(text)
                    yield text


def vectors(n_rows: int, n_columns: int, cache: Path) -> np.ndarray:
    """Unit vectors of ``n_rows`` functions by TF-IDF and truncated SVD, kept in ``cache`` for the next run.

    Args:
        n_rows: how many functions.
        n_columns: width of a vector.
        cache: folder for the ``.npy`` file.

    Returns:
        ``(n_rows, n_columns)`` float32.
    """
    path = cache / f"lsa_{n_rows}x{n_columns}.npy"
    if path.exists():
        return np.load(path)
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [text for text, _ in zip(functions(), range(n_rows), strict=False)]
    if len(texts) < n_rows:
        raise SystemExit(f"{n_rows} functions were asked for and only {len(texts)} are installed; give a lower --rows.")
    words = TfidfVectorizer(token_pattern=r"[A-Za-z_]\w*", sublinear_tf=True, min_df=3, max_features=40_000)
    table = words.fit_transform(texts).astype(np.float32)
    found = TruncatedSVD(n_columns, n_iter=2, random_state=0).fit_transform(table)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    cache.mkdir(parents=True, exist_ok=True)
    np.save(path, found.astype(np.float32))
    return found.astype(np.float32)
