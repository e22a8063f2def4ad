"""One open sandbox for the callbacks that run code."""

from collections.abc import Iterator

import pytest

from hf_select.evaluation.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(n_workers=1, timeout=5.0, allow_code_eval=True) as opened:
        yield opened
