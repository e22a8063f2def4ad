"""Effort against norms of autograd's gradients, for target and draft."""

import numpy as np
import pytest
import torch

from hf_select.demo.model import train_tokenizer
from hf_select.errors import ConfigError, ModelError
from hf_select.rows import RowFormat
from hf_select.signals.forward import forward_signals
from hf_select.signals.gradients.effort import effort_values
from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.loss import make_loss
from hf_select.signals.gradients.value_projection import last_lora_b, last_value_projection
from hf_select.signals.keys import RESPONSE_NLL, effort, less_influence
from hf_select.signals.models import Companions, Models
from hf_select.signals.passes import read_signals
from hf_select.signals.source import Options, Source

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture
def make_source(tokenizer, rows):
    def make(model, rows=rows[:9], draft=None, **options):
        models = Models(model, tokenizer, companions=Companions(draft_model=draft))
        settings = {"template": "Q: {prompt} A:", "max_length": 60, "progress": False, "cache_dir": False, **options}
        return Source(rows, RowFormat("completion"), models, Options(**settings))

    return make


def norms(source, name, looped_gradients, restrict=None):
    """Norm of the gradient of one parameter, row by row; row 7 has an empty response."""
    loss = make_loss(source)
    scored = [row for row, length in zip(source.rows, loss.lengths, strict=True) if length]
    gradients = [row[name] for row in looped_gradients(make_loss(source.only(np.flatnonzero(loss.lengths))), [name])]
    if restrict is not None:
        gradients = [gradient.index_select(*restrict) for gradient in gradients]
    whole = np.full(len(source.rows), np.nan)
    whole[loss.lengths > 0] = [float(gradient.norm()) for gradient in gradients]
    assert 0 < len(scored) == np.isfinite(whole).sum()
    return whole


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "phi3"])
def test_the_last_value_projection(family, make_source, make_model, looped_gradients):
    source = make_source(make_model(family))
    found = effort_values("last_value_projection", "target", source)
    name, restrict = last_value_projection(source.models.model)
    np.testing.assert_allclose(found, norms(source, name, looped_gradients, restrict), rtol=1e-4)
    assert np.isnan(found).nonzero()[0].tolist() == [7]


def test_adapters(make_source, make_lora, looped_gradients):
    source = make_source(make_lora())
    model = source.models.model
    found = effort_values("lora_b", "target", source)
    np.testing.assert_allclose(found, norms(source, last_lora_b(model), looped_gradients), rtol=1e-4)
    below = effort_values("last_value_projection", "target", source)
    np.testing.assert_allclose(below, norms(source, last_value_projection(model).weight, looped_gradients), rtol=1e-4)
    assert not np.allclose(found, below, equal_nan=True)


def test_all_parameters(make_source, make_model, looped_gradients):
    source = make_source(make_model("llama", tie_word_embeddings=True))
    names = [name for name, _ in source.models.model.named_parameters()]
    parts = np.stack([norms(source, name, looped_gradients) for name in names])
    assert len(parts) > 15
    np.testing.assert_allclose(effort_values("all", "target", source), np.sqrt((parts**2).sum(0)), rtol=1e-4)


def test_the_loss_is_that_of_the_forward_pass_and_needs_no_gradient(make_source, make_model, monkeypatch):
    source = make_source(make_model("llama").requires_grad_(False))
    monkeypatch.setattr(GradientEngine, "read", None)
    found = effort_values("loss", "target", source)
    np.testing.assert_allclose(found, forward_signals([RESPONSE_NLL], source)[RESPONSE_NLL], rtol=1e-5)


@pytest.mark.parametrize("measure", ["last_value_projection", "all", "loss"])
def test_classifiers(measure, make_source, make_classifier, rows, looped_gradients):
    labelled = [row._replace(response="", label=place % 3) for place, row in enumerate(rows[:5])]
    source = make_source(make_classifier("roberta"), rows=labelled)
    found = effort_values(measure, "target", source)
    assert np.isfinite(found).all()
    if measure == "last_value_projection":
        name, _ = last_value_projection(source.models.model)
        np.testing.assert_allclose(found, norms(source, name, looped_gradients), rtol=1e-4)
    unlabelled = make_source(source.models.model, rows=[row._replace(label=None) for row in labelled])
    assert np.isnan(effort_values(measure, "target", unlabelled)).all()


def test_the_draft_reads_with_its_own_tokenizer(make_source, make_model, rows):
    coarse = train_tokenizer(["def return if else for in range list sum add x y z " * 20], 290)
    small = make_model("llama", seed=3, num_hidden_layers=1)
    source = make_source(make_model("llama"), draft=(small, coarse))
    target, draft = (effort_values("last_value_projection", model, source) for model in ("target", "draft"))
    other = make_source(small)
    object.__setattr__(other.models, "given_tokenizer", coarse)
    np.testing.assert_array_equal(draft, effort_values("last_value_projection", "target", other))
    assert not np.allclose(draft, target, equal_nan=True)
    with pytest.raises(ConfigError, match="draft_model"):
        effort_values("loss", "draft", make_source(small))


def test_the_value_is_stored_by_model_measure_and_parameters(make_source, make_model, tmp_path, monkeypatch):
    model, runs = make_model("llama"), []
    read = GradientEngine.read
    monkeypatch.setattr(GradientEngine, "read", lambda *args, **options: runs.append(1) or read(*args, **options))
    source = make_source(model, cache_dir=tmp_path)
    first = effort_values("all", "target", source)
    n_first = len(runs)
    np.testing.assert_array_equal(effort_values("all", "target", make_source(model, cache_dir=tmp_path)), first)
    assert len(runs) == n_first > 0
    effort_values("last_value_projection", "target", source)
    assert len(runs) == 2 * n_first
    model.lm_head.weight.requires_grad_(False)
    assert (effort_values("all", "target", make_source(model, cache_dir=tmp_path)) < first)[:7].all()


def test_rows_without_a_finite_value_are_told(make_source, make_model, caplog, monkeypatch):
    source = make_source(make_model("llama"))
    losses = GradientEngine.losses
    monkeypatch.setattr(
        GradientEngine, "losses", lambda self, loss, rows: np.where(rows == 2, np.nan, losses(self, loss, rows))
    )
    found = effort_values("loss", "target", source)
    assert np.isnan(found).nonzero()[0].tolist() == [2, 7]
    assert "1 rows have no finite value (first: [2])" in caplog.text


def test_the_pass_yields_every_signal(make_source, make_model):
    source = make_source(make_model("llama"))
    wanted = [effort("loss"), effort("all")]
    values = read_signals(wanted, source)
    assert set(values) == set(wanted)
    np.testing.assert_array_equal(values[wanted[1]], effort_values("all", "target", source))
    with pytest.raises(ConfigError, match="reference="):
        read_signals([less_influence()], source)


def test_labels_the_model_does_not_have_are_refused(make_source, make_classifier, rows):
    from hf_select.errors import RowError

    source = make_source(make_classifier("roberta"), rows=[rows[0]._replace(response="", label=3)])
    with pytest.raises(RowError, match="3 classes"):
        effort_values("loss", "target", source)


def test_a_layer_without_a_name_is_refused(make_source, make_model):
    model = make_model("llama")
    for layer in model.model.layers:
        layer.self_attn.values = torch.nn.Identity()
    with pytest.raises(ModelError, match="no active LoRA adapter"):
        effort_values("lora_b", "target", make_source(model))
