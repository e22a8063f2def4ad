"""A token of the environment and of the arguments, through the whole recipe: no file and no line of output shows it."""

import os
import secrets
import subprocess
import sys

import pytest

from tests.recipes.conftest import RECIPE, ROOT, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WORDS = ("--arms", "full,gates+cdas:30%", "--save_strategy", "steps", "--save_steps", "5", "--allow_code_eval")


def test_the_recipe_writes_no_secret(tmp_path):
    canary = "hf_" + secrets.token_hex(16)
    environment = os.environ | {"HF_TOKEN": canary, "WANDB_API_KEY": canary, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(RECIPE), *SMALL, *WORDS, "--hub_token", canary, "--log_level", "debug"]
    done = subprocess.run(
        [*command, "--output_dir", str(tmp_path / "run")],
        capture_output=True, cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:].replace(canary, "CANARY")
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {"report.md", "results.json", "README.md", "model.safetensors"} <= {path.name for path in files}
    assert len(files) >= 30
    assert [str(path.relative_to(tmp_path)) for path in files if canary.encode() in path.read_bytes()] == []
    assert canary.encode() not in done.stdout + done.stderr
