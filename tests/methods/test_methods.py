"""The table of methods, ``make`` and ``top_k``."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_select.errors import ConfigError, InvalidScoresError, TaskError, UnknownNameError
from hf_select.methods import METHODS, Family, Task, make, make_for, top_k

ROOT = Path(__file__).resolve().parents[2]


def test_an_unknown_name_gets_the_nearest_and_all():
    with pytest.raises(UnknownNameError, match=r"Unknown method 'kmeans'\. Did you mean 'k_means'.*random"):
        make("kmeans")


def test_an_unknown_field_gets_the_nearest():
    with pytest.raises(ConfigError, match=r"Unknown field of method 'cdas' 'n_cluster'\. Did you mean 'n_clusters'"):
        make("cdas", n_cluster=5)
    with pytest.raises(ConfigError, match="'random' has no fields"):
        make("random", seed=5)


def test_names_are_spelt_like_their_modules():
    assert len(METHODS) >= 28
    for name, method in METHODS.items():
        assert method.__module__.rsplit(".", 1)[1] == name
        assert isinstance(method.family, Family)


def test_methods_import_no_framework():
    """Neither torch nor a plotting or modelling library is loaded by the table of methods."""
    heavy = ["torch", "transformers", "datasets", "matplotlib", "faiss", "sklearn"]
    code = f"import sys, hf_select.methods; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_top_k_ranks_rows_of_a_subset_with_ties_to_the_lower_id():
    scores = np.array([9.0, 1.0, 5.0, 5.0, 7.0, np.nan])
    picks = top_k(scores, np.array([1, 2, 3, 4]), 3)
    assert picks.indices.tolist() == [4, 2, 3]
    assert picks.scores.tolist() == [7.0, 5.0, 5.0]


def test_top_k_refuses_rows_without_a_finite_score():
    with pytest.raises(InvalidScoresError, match=r"1 rows have no finite score \(first: \[5\]\)"):
        top_k(np.array([0, 0, 0, 0, 0, np.nan]), np.array([0, 5]), 1)


def test_a_method_is_made_for_a_kind_of_model():
    for name, method in METHODS.items():
        for task in Task:
            if task in method.tasks:
                made = make_for(name, task)
                assert made.config().get("task", task.value) == task.value
            else:
                with pytest.raises(TaskError, match=f"'{name}' does not serve {task.value} models: .*'"):
                    make_for(name, task)
    variation = make_for("bald", Task.CLASSIFICATION, measure="variation_ratio")
    assert variation.config()["task"] == "classification"
    with pytest.raises(UnknownNameError):
        make_for("bold", Task.CLASSIFICATION)
