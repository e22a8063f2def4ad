"""Measures of predictions, against values worked by hand."""

import numpy as np
import pytest

from hf_select.grid.classifier import scores


def test_accuracy_and_f1_of_the_positive_class():
    # TP 2, FP 1, FN 1: precision 2/3, recall 2/3
    found = scores(np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0]), 2)
    assert found == {"accuracy": pytest.approx(0.6), "f1": pytest.approx(2 / 3), "n_test": 5}


def test_a_classifier_that_never_says_yes_has_no_f1():
    assert scores(np.zeros(4, int), np.array([1, 0, 1, 0]), 2)["f1"] == 0.0
    assert scores(np.ones(4, int), np.ones(4, int), 2)["f1"] == 1.0


def test_several_classes_are_averaged_alike_even_where_one_is_absent():
    # class 0: P 1, R 1; class 1: P 1/2, R 1 -> 2/3; class 2: never predicted -> 0; class 3: neither there nor predicted
    found = scores(np.array([0, 1, 1]), np.array([0, 1, 2]), 4)
    assert found["f1"] == pytest.approx((1 + 2 / 3 + 0 + 0) / 4)
