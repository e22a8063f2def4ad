import warnings

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.quality.ifd import IFD
from hf_select.signals.keys import ANSWER_ALONE_NLL, RESPONSE_NLL, answer_alone_nll
from hf_select.signals.table import Signals


def signals(given, alone, prefix=""):
    return Signals({RESPONSE_NLL: np.array(given, float), answer_alone_nll(prefix): np.array(alone, float)})


def pick(method, table, k):
    return method.pick(table, k, np.random.default_rng(0)).indices.tolist()


def test_golden_value_of_both_ratios():
    given, alone = np.mean([1, 0.5, 0.25, 0.25]), np.mean([1.2, 0.8, 0.6, 0.4])
    assert IFD().ifd(signals([given], [alone]))[0] == pytest.approx(0.778801, abs=1e-6)
    assert IFD(ratio="loss").ifd(signals([given], [alone]))[0] == pytest.approx(0.666667, abs=1e-6)
    biased = signals([given], [np.mean([0.8, 0.6, 0.4])])  # the first token left out of the answer alone
    assert IFD().ifd(biased)[0] == pytest.approx(0.904837, abs=1e-6)


def test_golden_rows_that_the_two_ratios_order_differently():
    table = signals([3.0, 0.7], [4.0, 1.0])
    np.testing.assert_allclose(IFD().ifd(table), [0.367879, 0.740818], atol=1e-6)
    np.testing.assert_allclose(IFD(ratio="loss").ifd(table), [0.75, 0.70])
    assert pick(IFD(), table, 2) == [1, 0]
    assert pick(IFD(ratio="loss"), table, 2) == [0, 1]


def test_the_limit_is_exclusive_for_perplexities_and_inclusive_for_cherry():
    given, alone = [1.0, 1.0, 1.5, 0.5], [2.0, 1.0, 1.0, 1.0]
    ours = IFD().exclusions(signals(given, alone))
    assert ours["IFD >= 1"].tolist() == [False, True, True, False]
    cherry = IFD.cherry()
    assert cherry.needs == {RESPONSE_NLL, answer_alone_nll("### Response:")}
    theirs = cherry.exclusions(signals(given, alone, "### Response:"))
    assert theirs["IFD > 1"].tolist() == [False, False, True, False]
    assert pick(cherry, signals(given, alone, "### Response:"), 3) == [1, 0, 3]


def test_without_a_limit_every_finite_row_is_ranked():
    table = signals([1.0, 3.0, np.nan, 0.5], [2.0, 1.0, 1.0, 1.0])
    assert pick(IFD(max_ifd=None), table, 3) == [1, 3, 0]


def test_another_limit_is_compared_as_ifd_and_not_as_its_logarithm():
    table = signals(np.log([0.89, 0.91]) + 1, [1.0, 1.0])
    assert IFD(max_ifd=0.9).exclusions(table)["IFD >= 0.9"].tolist() == [False, True]


def test_a_huge_ratio_neither_overflows_nor_is_lost():
    table = signals([2000.0, 1.0], [1.0, 2.0])
    assert IFD().score(table).tolist() == [1999.0, -1.0]
    assert IFD().ifd(table)[0] == np.inf
    assert IFD().exclusions(table)["IFD >= 1"].tolist() == [True, False]


def test_a_loss_ratio_over_zero_is_no_score_and_a_loss_of_zero_is_the_lowest():
    table = signals([0.0, 0.0, 1.0, 0.5], [1.0, 0.0, 0.0, 1.0])
    method = IFD(ratio="loss")
    assert method.exclusions(table)["no finite score"].tolist() == [False, True, True, False]
    assert pick(method, table, 2) == [3, 0]


def test_a_scorer_that_never_finds_an_instruction_useless_is_warned_about():
    alone = np.full(100, 2.0)
    with pytest.warns(UserWarning, match=r"No row of 100 has an IFD of 1 or more \(largest: 0.368\)"):
        pick(IFD(), signals(np.full(100, 1.0), alone), 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pick(IFD(), signals(np.r_[np.full(99, 1.0), 2.5], alone), 5)
        pick(IFD(), signals(np.full(99, 1.0), alone[:99]), 5)  # too few rows to say


def test_the_answer_alone_signal_depends_on_the_prefix():
    assert ANSWER_ALONE_NLL in IFD().needs
    assert IFD(prefix="ASSISTANT:").needs == IFD.cherry("ASSISTANT:").needs != IFD().needs


@pytest.mark.parametrize("fields", [{"ratio": "ppl"}, {"max_ifd": 0}, {"max_ifd": np.nan}, {"max_inclusive": "yes"}])
def test_wrong_fields_are_refused(fields):
    with pytest.raises(ConfigError, match=next(iter(fields))):
        IFD(**fields)
