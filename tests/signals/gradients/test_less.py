"""LESS against the formula written out with autograd, checkpoint by checkpoint."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, ModelError, RowError
from hf_select.rows import Row, RowFormat
from hf_select.signals.gradients import less
from hf_select.signals.gradients.checkpoint import learning_rate_weights, opened
from hf_select.signals.gradients.direction import reference_directions
from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.less import Influence, less_influence_values
from hf_select.signals.gradients.loss import make_loss
from hf_select.signals.gradients.parameter import scored_parameters
from hf_select.signals.keys import less_influence
from hf_select.signals.models import Companions, Models
from hf_select.signals.passes import read_signals
from hf_select.signals.source import Options, Source

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

SGD = Influence("sgd", "mean_of_cosines", "inside", bias_correction=False)
ADAM = Influence("adam", "mean_of_cosines", "inside", bias_correction=False)


@pytest.fixture(scope="module")
def pool(rows):
    return rows[:10]  # row 7 has an empty response


@pytest.fixture(scope="module")
def reference(rows):
    return {"loops": rows[10:13], "sums": rows[13:15]}


@pytest.fixture
def make_source(tokenizer, pool, reference):
    def make(model, folders=(), rows=pool, reference=reference, **options):
        models = Models(model, tokenizer, companions=Companions(checkpoints=tuple(folders)))
        settings = {"template": "Q: {prompt} A:", "max_length": 60, "progress": False, "cache_dir": False, **options}
        return Source(rows, RowFormat("completion"), models, Options(**settings), reference=reference)

    return make


def written_out(source, influence, looped_gradients, flat, moments=None):
    """Section 4 of the paper, one gradient after the other."""
    names = list(scored_parameters(make_loss(source).model))
    scored = make_loss(source).lengths > 0
    pool = looped_gradients(make_loss(only(source, scored)), names)
    updates = flat(pool).numpy()
    if moments is not None:
        mean, square = (np.concatenate([part.numpy().ravel() for part in parts]) for parts in moments)
        second = 0.999 * square + 0.001 * updates**2
        updates = (0.9 * mean + 0.1 * updates) / {
            "inside": np.sqrt(second + 1e-8), "outside": np.sqrt(second) + 1e-8,
        }[influence.eps]  # fmt: skip
    columns = []
    for rows in source.reference.values():
        true = flat(looped_gradients(make_loss(replace(source, rows=rows)), names)).numpy()
        if influence.aggregation == "cosine_of_mean":
            true = true.mean(0, keepdims=True)
        cosines = (updates @ true.T) / np.linalg.norm(updates, axis=1)[:, None] / np.linalg.norm(true, axis=1)
        columns.append(cosines.mean(axis=1))
    whole = np.full((len(scored), len(columns)), np.nan)
    whole[scored] = np.stack(columns, axis=1)
    return whole


def only(source, mask):
    return replace(source, rows=[row for row, kept in zip(source.rows, mask, strict=True) if kept])


@pytest.mark.parametrize("aggregation", ["mean_of_cosines", "cosine_of_mean"])
def test_plain_gradients_of_the_model_alone(aggregation, make_source, make_model, looped_gradients, flat):
    source = make_source(make_model("llama"))
    influence = replace(SGD, aggregation=aggregation)
    found = less_influence_values(influence, source)
    np.testing.assert_allclose(found, written_out(source, influence, looped_gradients, flat), rtol=1e-4, atol=1e-5)
    assert np.isnan(found).all(axis=1).nonzero()[0].tolist() == [7]
    assert found.shape == (10, 2)


@pytest.mark.parametrize("eps", ["inside", "outside"])
@pytest.mark.parametrize("run", ["lora_run", "whole_run"])
def test_adams_update_over_two_checkpoints(run, eps, request, make_source, make_model, looped_gradients, flat):
    trainer, folders = request.getfixturevalue(run)
    source = make_source(make_model("llama" if run == "lora_run" else "gpt2"), folders)
    influence = replace(ADAM, eps=eps)
    found = less_influence_values(influence, source)
    weights = learning_rate_weights(folders)
    assert weights[0] > weights[1] > 0
    expected = 0
    for folder, weight in zip(folders, weights, strict=True):
        with opened(folder, source.models) as models:
            model = models.model
            stored = torch.load(folder / "optimizer.pt", weights_only=True)
            moments = state_in_model_order(trainer, stored, model)
            at = written_out(replace(source, models=models), influence, looped_gradients, flat, moments)
            expected = expected + weight * at
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert np.isfinite(found).all(axis=1).sum() == 9


def state_in_model_order(trainer, stored, model):
    """The file numbers parameters as the Trainer's own optimiser does."""
    in_file = [parameter for group in trainer.optimizer.param_groups for parameter in group["params"]]
    place = {id(parameter): number for number, parameter in enumerate(in_file)}
    trained = [parameter for parameter in trainer.model.parameters() if parameter.requires_grad]
    assert len(trained) == len(scored_parameters(model))
    return [[stored["state"][place[id(parameter)]][key] for parameter in trained] for key in ("exp_avg", "exp_avg_sq")]


def test_bias_correction_scales_an_update_and_so_moves_a_cosine_by_eps_alone(lora_run, make_source, make_model):
    source = make_source(make_model("llama"), lora_run[1][1:])
    plain, corrected = (
        less_influence_values(replace(ADAM, eps="outside", bias_correction=bias), source) for bias in (False, True)
    )
    assert 0 < np.nanmax(np.abs(plain - corrected)) < 1e-4


def test_golden_of_the_two_aggregations(make_source, make_model):
    """Unit vector (1, 0) against (10, 0) and (0, 1): 0.5 in the code, 0.995 in the paper."""

    class Loss:
        lengths = np.array([1, 1])

    class Engine:
        class coverage:  # noqa: N801
            names = frozenset({"w"})

        sizes = {"w": 2}  # noqa: RUF012
        dtype = torch.float64
        parameters = {"w": torch.zeros(2)}  # noqa: RUF012

        def plain_gradient(self, loss, row):
            return {"w": torch.tensor([[10.0, 0.0], [0.0, 1.0]][row], dtype=torch.float64)}

    def first(**options):
        return float(reference_directions(Engine(), {"task": Loss()}, **options)["w"][0, 0])

    assert first(of_units=True, unit=False) == pytest.approx(0.5)
    assert first(of_units=False, unit=True) == pytest.approx(0.995037, abs=5e-7)
    assert first(of_units=True, unit=True) == pytest.approx(0.707107, abs=5e-7)


def test_a_row_that_is_the_reference_has_cosine_one(make_source, make_model, pool):
    source = make_source(make_model("llama"), reference={"one": [pool[3]]})
    found = less_influence_values(SGD, source)[:, 0]
    assert found[3] == pytest.approx(1, abs=1e-5)
    assert np.nanargmax(found) == 3


def test_copies_are_equal_and_the_order_of_rows_and_batches_is_nothing(make_source, make_model, pool):
    model = make_model("llama")
    found = less_influence_values(SGD, make_source(model))
    turned = less_influence_values(SGD, make_source(model, rows=[*pool[::-1], pool[0]], max_tokens_per_batch=70))
    np.testing.assert_allclose(turned[:10][::-1], found, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(turned[10], turned[9], rtol=1e-5)


def test_the_side_of_padding_is_nothing(make_source, make_classifier, rows, tokenizer, monkeypatch):
    labelled = [row._replace(response="", label=place % 3) for place, row in enumerate(rows[:6])]
    source = make_source(make_classifier("llama"), rows=labelled, reference={"all": labelled[:2]})
    found = []
    for side in ("left", "right"):
        monkeypatch.setattr(tokenizer, "padding_side", side)
        found.append(less_influence_values(SGD, source))
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(*found)


def test_classifiers(make_source, make_classifier, looped_gradients, flat, rows):
    labelled = [row._replace(response="", label=place % 3) for place, row in enumerate(rows[:6])]
    labelled[4] = labelled[4]._replace(label=None)
    source = make_source(
        make_classifier("roberta"), rows=labelled, reference={"all": [rows[8]._replace(response="", label=1)]}
    )
    found = less_influence_values(SGD, source)
    np.testing.assert_allclose(found, written_out(source, SGD, looped_gradients, flat), rtol=1e-4, atol=1e-5)
    assert np.isnan(found[:, 0]).nonzero()[0].tolist() == [4]


def test_a_second_run_reads_the_store_and_another_input_does_not(
    lora_run, make_source, make_model, tmp_path, monkeypatch, reference
):
    model, runs = make_model("llama"), []
    read = GradientEngine.read
    monkeypatch.setattr(GradientEngine, "read", lambda *args, **options: runs.append(1) or read(*args, **options))

    def values(folders=lora_run[1][:1], influence=ADAM, **options):
        runs.clear()
        return less_influence_values(influence, make_source(model, folders, cache_dir=tmp_path, **options)), len(runs)

    first, n_first = values()
    assert n_first > 0
    again, n_again = values()
    assert n_again == 0
    np.testing.assert_array_equal(again, first)
    for changed in (
        {"folders": lora_run[1][1:]},
        {"influence": replace(ADAM, eps="outside")},
        {"influence": SGD},
        {"reference": {"loops": reference["sums"], "sums": reference["loops"]}},
        {"max_length": 30},
    ):
        assert values(**changed)[1] > 0, changed


def test_another_optimiser_state_is_another_key(lora_run, make_source, make_model, tmp_path):
    import shutil

    model = make_model("llama")
    folder = tmp_path / "checkpoint"
    shutil.copytree(lora_run[1][0], folder)
    first = less_influence_values(ADAM, make_source(model, [folder], cache_dir=tmp_path / "store"))
    stored = torch.load(folder / "optimizer.pt", weights_only=True)
    for state in stored["state"].values():
        state["exp_avg"].neg_()
    torch.save(stored, folder / "optimizer.pt")
    second = less_influence_values(ADAM, make_source(model, [folder], cache_dir=tmp_path / "store"))
    assert np.nanmax(np.abs(first - second)) > 1e-3


def test_a_batch_that_does_not_fit_is_halved(make_source, make_model, monkeypatch, caplog):
    source = make_source(make_model("llama"))
    expected, sizes, read = less_influence_values(SGD, source), [], GradientEngine.read

    def with_little_memory(self, loss, rows, reductions, **options):
        sizes.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return read(self, loss, rows, reductions, **options)

    monkeypatch.setattr(GradientEngine, "read", with_little_memory)
    with caplog.at_level(logging.WARNING, "hf_select"):
        np.testing.assert_allclose(less_influence_values(SGD, source), expected, rtol=1e-4, atol=1e-6)
    assert max(sizes) > 3
    assert caplog.text.count("read in halves") == 1


def test_what_cannot_be_is_refused(make_source, make_model, reference):
    model = make_model("llama")
    with pytest.raises(ConfigError, match=r"companions=.*checkpoints.*update='sgd'"):
        less_influence_values(ADAM, make_source(model))
    with pytest.raises(ConfigError, match="reference="):
        less_influence_values(SGD, make_source(model, reference={}))
    with pytest.raises(RowError, match="reference rows of task 'empty'"):
        less_influence_values(SGD, make_source(model, reference={**reference, "empty": [Row("a", "")]}))
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.model.norm.weight.zero_()
    with pytest.raises(ModelError, match=r"norm 0\.0"):
        less_influence_values(SGD, make_source(model, reference={"flat": reference["loops"]}))


def test_the_pass_yields_the_signal(make_source, make_model):
    signal = less_influence(update="sgd")
    source = make_source(make_model("llama"))
    values = read_signals([signal], source)
    np.testing.assert_array_equal(values[signal], less_influence_values(SGD, source))
    assert less.Influence(**signal.parameters) == SGD
