"""Shared by all tests: an offline environment, set before any library reads it, and the folder of real data."""

import os
import tempfile
from pathlib import Path

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_EVALUATE_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_WAIT_POLICY="passive",
)
os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="hf_select_tests_"))

import pytest  # after the environment above, which libraries read when they are imported

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder
