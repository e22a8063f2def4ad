"""Gradients in factors: what they stand for, block by block."""

import pytest
import torch

from hf_select.signals.gradients.factor import Factors, TouchedRows, add_rows, sample_runs, wide_dtype
from hf_select.signals.gradients.gradient import ParameterGradient

N, T, R, C = 3, 5, 4, 6


@pytest.fixture
def factors():
    generator = torch.Generator().manual_seed(0)
    return Factors(
        torch.randn(N, T, R, generator=generator, dtype=torch.float64),
        torch.randn(N, T, C, generator=generator, dtype=torch.float64),
    )


@pytest.fixture
def touched():
    values = torch.arange(4 * C, dtype=torch.float64).reshape(4, C)
    return add_rows(torch.tensor([2, 0, 2, 1]), torch.tensor([3, 1, 3, 0]), values, n_rows=R)


def dense(gradient):
    """The whole gradients, written out."""
    whole = torch.zeros(gradient.n_samples, *gradient.shape, dtype=torch.float64)
    if gradient.factors is not None:
        whole += torch.einsum("ntr,ntc->nrc", gradient.factors.left, gradient.factors.right)
    if gradient.touched is not None:
        entries = zip(gradient.touched.samples, gradient.touched.rows, gradient.touched.values, strict=True)
        for sample, row, values in entries:
            whole[sample, row] += values
    return whole


def gathered(gradient, max_bytes):
    """The whole gradients, put together from blocks."""
    whole = torch.zeros(gradient.n_samples, *gradient.shape, dtype=torch.float64)
    n_blocks = 0
    for block in gradient.blocks(max_bytes):
        n_blocks += 1
        assert block.is_sparse or block.values.nbytes <= max(max_bytes, C * 8)
        if block.is_sparse:
            whole[block.samples, block.rows] += block.values
        else:
            whole[block.samples, block.rows] += block.values
    return whole, n_blocks


def test_goldens_of_the_two_identities(factors):
    """<G, D> = sum_t left_t . D right_t, and |G|^2 from products of positions."""
    matrices = torch.einsum("ntr,ntc->nrc", factors.left, factors.right)
    direction = torch.linspace(-1, 1, R * C, dtype=torch.float64).reshape(R, C)
    torch.testing.assert_close(factors.dots(direction), (matrices * direction).sum((1, 2)), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(factors.squared_norms(), matrices.square().sum((1, 2)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("max_bytes", "n_blocks"), [(1, N * R), (2 * C * 8, N * 2), (R * C * 8, N), (10**6, 1)])
def test_blocks_make_up_the_whole(factors, touched, max_bytes, n_blocks):
    for gradient in (
        ParameterGradient("w", (R, C), N, factors=factors),
        ParameterGradient("w", (R, C), N, factors=factors, touched=touched),
    ):
        whole, found = gathered(gradient, max_bytes)
        assert found == n_blocks
        torch.testing.assert_close(whole, dense(gradient), rtol=1e-12, atol=1e-12)


def test_an_embedding_alone_stays_sparse(touched):
    gradient = ParameterGradient("e", (10**6, C), N, touched=touched)
    (block,) = gradient.blocks()
    assert block.is_sparse
    assert block.samples.tolist() == [0, 1, 2]
    assert block.rows.tolist() == [1, 0, 3]
    assert block.values[2].tolist() == [12.0, 14.0, 16.0, 18.0, 20.0, 22.0]  # entries 0 and 2 of one pair, added up


def test_sums_and_scales(factors, touched):
    one = ParameterGradient("w", (R, C), N, factors=factors)
    both = one.plus(one).plus(ParameterGradient("w", (R, C), N, touched=touched))
    both = both.plus(ParameterGradient("w", (R, C), N, touched=touched))
    torch.testing.assert_close(dense(both), 2 * dense(one) + 2 * dense(
        ParameterGradient("w", (R, C), N, touched=touched)
    ))  # fmt: skip
    scales = torch.tensor([0.0, 1.0, -2.0])
    torch.testing.assert_close(dense(both.scaled(scales)), dense(both) * scales.double()[:, None, None])
    vector = ParameterGradient("b", (R,), N, vector=torch.ones(N, R))
    assert vector.plus(vector).scaled(scales).vector.tolist() == [[0.0] * R, [2.0] * R, [-4.0] * R]


def test_rows_and_columns_of_a_matrix(factors):
    gradient = ParameterGradient("w", (R, C), N, factors=factors)
    index = torch.tensor([3, 1])
    for dimension, expected in ((0, dense(gradient)[:, index]), (1, dense(gradient)[:, :, index])):
        part = gradient.restricted(dimension, index)
        assert part.shape == tuple(expected.shape[1:])
        torch.testing.assert_close(dense(part), expected)


def test_products_of_positions_are_taken_where_they_are_cheaper():
    assert Factors(torch.empty(1, 10, 20), torch.empty(1, 10, 20)).is_short
    assert not Factors(torch.empty(1, 15, 20), torch.empty(1, 15, 20)).is_short


def test_products_are_formed_some_samples_at_a_time(factors, monkeypatch):
    direction = torch.linspace(-1, 1, R * C, dtype=torch.float64).reshape(R, C)
    expected = factors.dots(direction), factors.squared_norms()
    monkeypatch.setattr("hf_select.signals.gradients.factor.MAX_BLOCK_BYTES", 1)
    torch.testing.assert_close((factors.dots(direction), factors.squared_norms()), expected)
    assert [(part.start, part.stop) for part in sample_runs(5, 10, 25)] == [(0, 2), (2, 4), (4, 5)]


def test_gradients_are_at_least_float32():
    assert wide_dtype(torch.bfloat16) is wide_dtype(torch.float32) is torch.float32
    assert wide_dtype(torch.float64) is torch.float64
    half = Factors(torch.ones(1, 2, 3, dtype=torch.bfloat16), torch.ones(1, 2, 3, dtype=torch.bfloat16))
    assert half.matrices(slice(None), slice(None)).dtype is half.squared_norms().dtype is torch.float32


def test_a_touched_row_is_one_of_one_sample():
    rows = add_rows(torch.tensor([1, 0, 1]), torch.tensor([2, 2, 2]), torch.eye(3), n_rows=3)
    assert isinstance(rows, TouchedRows)
    assert list(zip(rows.samples.tolist(), rows.rows.tolist(), strict=True)) == [(0, 2), (1, 2)]
    assert rows.values.tolist() == [[0, 1, 0], [1, 0, 1]]
