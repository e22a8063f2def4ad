"""Recipes that two processes run."""

from collections.abc import Sequence
from pathlib import Path

from tests.launching import launch


def finish(recipe: Path, words: Sequence[str], folder: Path, how: str) -> None:
    """Run a recipe to its end; once more, resumed, where gloo aborts at exit (rare, none of this library's doing)."""
    words = [*words, "--output_dir", str(folder)]
    finished = launch(recipe, words, how, timeout=700)
    if finished.returncode and "Signal 6" in finished.stderr:
        print("gloo aborted at exit")
        finished = launch(recipe, [*words, "--resume"], how, timeout=700)
    assert finished.returncode == 0, finished.stderr[-3000:]
