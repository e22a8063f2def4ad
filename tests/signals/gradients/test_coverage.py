"""How much is covered, and what is said about it."""

import logging

import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.gradients.coverage import Comparison, coverage_of, merged
from hf_select.signals.gradients.gradient import ParameterGradient

SIZES = {"a": 80, "b": 15, "c": 5}


def test_shares_and_what_is_missing():
    coverage = coverage_of({"a", "c"}, SIZES, {"a": 1.0, "b": 3.0})
    assert coverage.parameter_fraction == pytest.approx(0.85)
    assert coverage.gradient_fraction == pytest.approx(0.25)
    assert coverage.missing == ("b",)
    assert coverage_of({"a"}, SIZES, {}).gradient_fraction == 1.0  # no gradient at all: nothing is missing of it


@pytest.mark.parametrize(
    ("names", "norms", "said"),
    [
        ({"a", "b", "c"}, {"a": 1.0}, None),
        ({"a", "b"}, {"a": 1.0}, "95.0% of the parameters"),
        ({"a", "b"}, {"a": 0.95, "c": 0.05}, "95.0% of the squared norm"),
    ],
)
def test_a_little_missing_is_told(names, norms, said, caplog):
    with caplog.at_level(logging.WARNING, "hf_select"):
        coverage_of(names, SIZES, norms).require_enough()
    assert (said in caplog.text) if said else not caplog.text


@pytest.mark.parametrize("norms", [{"a": 1.0, "b": 0.0}, {"a": 0.8, "b": 0.2}])
def test_much_missing_is_refused(norms):
    with pytest.raises(ModelError, match=r"gradient of X; missing: b.*90%"):
        coverage_of({"a", "c"}, SIZES, norms).require_enough("gradient of X")


def compared(found, true):
    comparison = Comparison({"w": torch.tensor(true)}, 1)
    values = torch.tensor([[9.0, 9.0], found])
    comparison.add(ParameterGradient("w", (2,), 2, vector=values), torch.empty(2, 0))
    return comparison


def test_a_parameter_is_covered_if_its_gradient_agrees():
    assert merged([compared([3.0, 4.0], [3.0, 4.0])], {"w": 2}, torch.float32).names == {"w"}
    assert merged([compared([3.0, 4.0], [3.0, 4.1])], {"w": 2}, torch.float32).names == frozenset()
    assert merged([compared([3.0, 4.0], [3.0, 4.1])], {"w": 2}, torch.bfloat16).names == {"w"}
    both = [compared([3.0, 4.0], [3.0, 4.0]), compared([3.0, 4.0], [4.0, 3.0])]
    assert merged(both, {"w": 2}, torch.float32).names == frozenset()


def test_a_gradient_of_rounding_alone_is_covered():
    """The bias of keys has gradient 0 but for rounding; that nothing agrees there means nothing."""
    comparison = Comparison({"w": torch.tensor([1.0]), "bias": torch.tensor([1e-9])}, 0)
    for name, value in (("w", 1.0), ("bias", -1e-9)):
        comparison.add(ParameterGradient(name, (1,), 1, vector=torch.tensor([[value]])), torch.empty(1, 0))
    assert comparison.reproduced(torch.float32) == {"w", "bias"}


def test_a_parameter_that_is_used_and_not_seen_is_not_covered():
    comparison = Comparison({"w": torch.ones(2), "v": torch.ones(2)}, 0)
    comparison.add(ParameterGradient("w", (2,), 1, vector=torch.ones(1, 2)), torch.empty(1, 0))
    comparison.add_absent({"v", "unused"}, torch.empty(1, 0))
    assert comparison.reproduced(torch.float32) == {"w", "unused"}
