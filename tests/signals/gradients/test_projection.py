"""The sparse projection: what it keeps, what it depends on, and that a whole is the sum of its parts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError
from hf_select.signals.gradients.engine import gradient_engine
from hf_select.signals.gradients.factor import Factors, add_rows
from hf_select.signals.gradients.gradient import ParameterGradient
from hf_select.signals.gradients.projection import SparseProjection
from hf_select.signals.gradients.reduction import Dots

D = 1024
ROOT = Path(__file__).resolve().parents[3]


def projected(values, name="w", **options):
    projection = SparseProjection(**{"n_dimensions": D, **options})
    out = projection.zeros(len(values), torch.device("cpu"))
    projection.add_numbers(name, values, out)
    return out


def written_out(n_numbers, name="w"):
    """The projection as a matrix ``(p, d)``."""
    return projected(torch.eye(n_numbers), name)


def test_each_number_goes_to_one_place_of_each_copy():
    matrix = written_out(700)
    assert set(matrix.unique().tolist()) == {-0.5, 0.0, 0.5}
    for copy in range(4):
        part = matrix[:, copy * D // 4 : (copy + 1) * D // 4]
        assert (part != 0).sum(1).tolist() == [1] * 700
        assert abs(float(part.sign().sum())) < 4 * np.sqrt(700)  # as many of one sign as of the other
    torch.testing.assert_close(projected(torch.arange(700.0)[None]), torch.arange(700.0)[None] @ matrix)


def test_inner_products_are_kept_on_average():
    """Unbiased, with a spread of at most sqrt((|x|^2 |y|^2 + <x, y>^2) / d): 300 projections of one pair."""
    generator = torch.Generator().manual_seed(0)
    pair = torch.randn(2, 3000, generator=generator)
    pair[1] += 0.3 * pair[0]
    pair /= pair.norm(dim=1, keepdim=True)
    true = float(pair[0] @ pair[1])
    errors = np.asarray([float(x @ y) - true for x, y in (projected(pair, seed=seed) for seed in range(300))])
    spread = np.sqrt((1 + true**2) / D)
    assert abs(errors.mean()) < 3 * spread / np.sqrt(300)
    assert 0.7 * spread < errors.std() < 1.15 * spread
    assert np.abs(errors).mean() < 3 / np.sqrt(D)


def test_norms_of_numbers_far_apart_are_kept_on_average():
    """Three large numbers in different runs meet now and then; on average that cancels out."""
    values = torch.zeros(1, 3000)
    values[0, [5, 1200, 2999]] = 1.0
    squared = np.asarray([float(projected(values, seed=seed).square().sum()) for seed in range(300)])
    assert squared.mean() == pytest.approx(3, abs=0.05)
    assert projected(values[:, :6]).square().sum() == pytest.approx(1)  # one number alone is kept exactly


def test_the_projection_depends_on_name_and_seed_alone():
    values = torch.randn(2, 500, generator=torch.Generator().manual_seed(0))
    first = projected(values)
    torch.manual_seed(1)
    assert torch.equal(projected(values), first)
    assert not torch.equal(projected(values, name="v"), first)
    assert not torch.equal(projected(values, seed=1), first)


@pytest.mark.slow
def test_the_projection_is_the_same_in_every_process():
    code = (
        "import torch; from hf_select.signals.gradients.projection import SparseProjection as P; p = P(16);"
        "out = p.zeros(1, torch.device('cpu')); p.add_numbers('a.b', torch.arange(40.0)[None], out);"
        "print(out.tolist())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    projection = SparseProjection(16)
    out = projection.zeros(1, torch.device("cpu"))
    projection.add_numbers("a.b", torch.arange(40.0)[None], out)
    assert said.strip() == str(out.tolist())
    assert out.tolist()[0][:4] == [-6.5, -16.5, 16.5, -57.5]  # and in every release


@pytest.mark.parametrize("cut", [1, 255, 256, 257, 600])
def test_a_whole_is_the_sum_of_its_parts(cut):
    values = torch.randn(3, 900, generator=torch.Generator().manual_seed(0))
    projection = SparseProjection(D)
    out = projection.zeros(3, torch.device("cpu"))
    projection.add_numbers("w", values[:, cut:], out, first=cut)
    projection.add_numbers("w", values[:, :cut], out)
    torch.testing.assert_close(out, projected(values))


def test_touched_rows_go_where_the_same_rows_of_a_matrix_go():
    n_rows, width = 40, 30
    generator = torch.Generator().manual_seed(0)
    samples, rows = torch.tensor([0, 0, 1, 2]), torch.tensor([39, 3, 3, 17])
    touched = add_rows(samples, rows, torch.randn(4, width, generator=generator), n_rows=n_rows)
    whole = torch.zeros(3, n_rows, width)
    whole[touched.samples, touched.rows] = touched.values
    projection = SparseProjection(D)
    out = projection.zeros(3, torch.device("cpu"))
    projection.add(ParameterGradient("w", (n_rows, width), 3, touched=touched), out)
    torch.testing.assert_close(out, projected(whole.flatten(1)))
    tied = ParameterGradient(
        "w", (n_rows, width), 3, Factors(torch.ones(3, 1, n_rows), torch.ones(3, 1, width)), touched
    )
    again = projection.zeros(3, torch.device("cpu"))
    projection.add(tied, again)
    torch.testing.assert_close(again, projected((whole + 1).flatten(1)), rtol=1e-5, atol=1e-5)


def test_cosines_of_real_gradients_are_kept(make_model, response_loss, looped_gradients, flat):
    """Mean error within 3 / sqrt(d), over all parameters of a model with a tied head."""
    loss = response_loss(make_model("llama", tie_word_embeddings=True))
    names = [name for name, _ in loss.model.named_parameters()]
    true = looped_gradients(loss, names)
    exact = torch.nn.functional.normalize(flat(true))
    directions = {name: torch.stack([row[name] for row in true]) for name in names}
    with gradient_engine(loss) as engine:
        sums = engine.read(loss, np.arange(7), [SparseProjection(4096), Dots(directions)]).sums
    sketch = torch.nn.functional.normalize(torch.from_numpy(sums[0]).double())
    errors = (sketch @ sketch.T - exact @ exact.T)[~torch.eye(7, dtype=torch.bool)]
    assert sums[0].shape == (7, 4096)
    assert float(errors.abs().mean()) < 3 / np.sqrt(4096)
    assert float(errors.abs().max()) < 6 / np.sqrt(4096)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"n_dimensions": 10}, "multiple"), ({"n_copies": 9}, "1 to 8"), ({"n_dimensions": 0}, "positive")],
)
def test_sizes_that_cannot_be_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        SparseProjection(**options)
