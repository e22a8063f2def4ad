"""The perturbed pass: each wording is read as a text of its own, and the first is the row itself."""

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.rows import Row, RowFormat
from hf_select.signals.classifier import classifier_signals
from hf_select.signals.classifier_reader import ClassifierReader
from hf_select.signals.keys import CLASS_PROBABILITIES, perturbed_probabilities
from hf_select.signals.models import Models
from hf_select.signals.perturbed import perturbed_signals
from hf_select.signals.rewording import reword
from hf_select.signals.source import Options, Source

CODE = "int add(int a, int b)\n{\n    return a + b;\n}\n"


@pytest.fixture(scope="module")
def texts() -> list[Row]:
    """9 rows; row 2 has no text."""
    rows = [Row(CODE * (1 + n % 3) + f"int x = {n};", "") for n in range(9)]
    rows[2] = Row("", "")
    return rows


def source(rows, model, tokenizer, **options) -> Source:
    options = Options(**{"progress": False, "cache_dir": False, **options})
    return Source(rows, RowFormat("classification"), Models(model, tokenizer), options)


def read(n_variants, *given, **options) -> np.ndarray:
    signal = perturbed_probabilities(n_variants)
    return perturbed_signals([signal], source(*given, **options))[signal]


def test_each_variant_is_a_reading_of_its_wording(make_classifier, tokenizer, texts) -> None:
    model = make_classifier("gpt2")
    found = read(4, texts, model, tokenizer, seed=9)
    assert found.shape == (9, 4, 3)
    assert np.isnan(found).all((1, 2)).nonzero()[0].tolist() == [2]
    for variant in range(4):
        worded = [Row(reword(row.prompt, variant, 9), "") for row in texts]
        expected = classifier_signals([CLASS_PROBABILITIES], source(worded, model, tokenizer))[CLASS_PROBABILITIES]
        np.testing.assert_allclose(found[:, variant], expected, atol=1e-6)
    plain = classifier_signals([CLASS_PROBABILITIES], source(texts, model, tokenizer))[CLASS_PROBABILITIES]
    assert found[:, 0].tobytes() == plain.tobytes()
    assert np.nanmin(np.abs(found[:, 1:] - found[:, :1]).max(2)) > 1e-4
    assert np.nanmax(np.abs(found - read(4, texts, model, tokenizer, seed=8))) > 1e-4


def test_wordings_that_were_read_before_come_from_the_store(
    make_classifier, tokenizer, texts, tmp_path, monkeypatch, caplog
) -> None:
    model = make_classifier()
    classifier_signals([CLASS_PROBABILITIES], source(texts, model, tokenizer, cache_dir=tmp_path))
    n_read = []
    plain = ClassifierReader.read
    monkeypatch.setattr(ClassifierReader, "read", lambda self, s, **kw: n_read.append(len(s)) or plain(self, s, **kw))
    read(3, texts, model, tokenizer, cache_dir=tmp_path, max_length=None)
    assert sum(n_read) == 8 * 2  # variant 0 was there
    assert len(list(tmp_path.iterdir())) == 3
    assert caplog.text.count("longer than max_length") <= 2  # told by the classifier pass and for variant 0 alone


def test_one_wording_is_refused(make_classifier, tokenizer, texts) -> None:
    with pytest.raises(ConfigError, match="n_variants=1: one wording"):
        read(1, texts, make_classifier(), tokenizer)
