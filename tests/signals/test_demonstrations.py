"""The demonstrations pass: which model answers, what must be given, and what is stored."""

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, TaskError
from hf_select.rows import Row, RowFormat
from hf_select.signals.demonstration_set import draw_orders
from hf_select.signals.demonstrations import demonstration_signals
from hf_select.signals.keys import demonstrated_mutual_information, demonstrated_probabilities
from hf_select.signals.models import Companions, Models
from hf_select.signals.reader import Reader
from hf_select.signals.source import Options, Source

PROBABILITIES = demonstrated_probabilities(2, 2)
INFORMATION = demonstrated_mutual_information(2, 2)


@pytest.fixture(scope="module")
def some(rows) -> list[Row]:
    return [row._replace(prompt=row.prompt[:12], label=number % 2) for number, row in enumerate(rows[:7])]


def source(rows, models, n_labelled=4, **options) -> Source:
    plain = {"progress": False, "cache_dir": False}
    return Source(rows, RowFormat("completion"), models, Options(**{**plain, **options}), labelled=rows[:n_labelled])


def test_the_companion_answers_for_a_classifier(some, make_model, make_classifier, tokenizer) -> None:
    writer = make_model("llama")
    models = Models(make_classifier(), tokenizer, companions=Companions(language_model=(writer, tokenizer)))
    found = demonstration_signals([PROBABILITIES], source(some, models))[PROBABILITIES]
    alone = demonstration_signals([PROBABILITIES], source(some, Models(writer, tokenizer)))[PROBABILITIES]
    assert found.shape == (7, 2, 2)
    assert found.tobytes() == alone.tobytes()  # a causal language model answers for itself


def test_a_dataset_is_read_with_a_companion(some, make_model, make_classifier, tokenizer) -> None:
    from datasets import Dataset

    from hf_select import extract

    dataset = Dataset.from_dict({"text": [row.prompt for row in some], "label": [row.label for row in some]})
    companions = {"language_model": (make_model("llama"), tokenizer)}
    given = {"tokenizer": tokenizer, "companions": companions, "cache_dir": False, "progress": False}
    found = extract(dataset, [PROBABILITIES], model=make_classifier(), labelled=[0, 1, 2, 3], **given)
    values = np.asarray(found[PROBABILITIES.column])
    assert values.shape == (7, 2, 2)
    np.testing.assert_allclose(values.sum(axis=-1), 1)


def test_what_is_missing_is_named(some, make_model, make_classifier, tokenizer) -> None:
    classifier, writer = Models(make_classifier(), tokenizer), Models(make_model("llama"), tokenizer)
    with pytest.raises(ConfigError, match=r"companions=\{'language_model': ...\}"):
        demonstration_signals([PROBABILITIES], source(some, classifier))
    with pytest.raises(TaskError, match="is read of responses, and the model is a classifier"):
        demonstration_signals([INFORMATION], source(some, classifier))
    with pytest.raises(ConfigError, match="give labelled="):
        demonstration_signals([INFORMATION], source(some, writer, n_labelled=0))
    with pytest.raises(ConfigError, match="n_sets=1 must be at least 2"):
        demonstration_signals([demonstrated_probabilities(1, 2)], source(some, writer))
    with pytest.raises(ConfigError, match="n_demonstrations=0 at least 1"):
        demonstration_signals([demonstrated_mutual_information(2, 0)], source(some, writer))


def test_finished_passes_are_read_from_the_store(some, make_model, tokenizer, tmp_path, monkeypatch) -> None:
    models, wanted = Models(make_model("llama"), tokenizer), [PROBABILITIES, INFORMATION]
    first = demonstration_signals(wanted, source(some, models, cache_dir=tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "predict", None)
        again = demonstration_signals(wanted, source(some, models, cache_dir=tmp_path))
    assert [again[signal].tobytes() for signal in wanted] == [first[signal].tobytes() for signal in wanted]
    demonstration_signals(wanted, source(some, models, cache_dir=tmp_path, seed=1))
    demonstration_signals(wanted, source(some, models, n_labelled=5, cache_dir=tmp_path))
    demonstration_signals([demonstrated_probabilities(3, 2)], source(some, models, cache_dir=tmp_path))
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.data
def test_a_real_model_reads_demonstrations(shared_data) -> None:
    """stories260K, whose tokenizer puts a token before every text: it comes first, and once."""
    models = Models(str(shared_data / "weights" / "stories260K" / "hf"))
    told = [Row("Once upon a time, there was", " a little girl.", 0), Row("One day, a big dog saw", " a ball.", 1),
            Row("Tom and his mom went to", " the store.", 1), Row("The sun was", " hot.", 0)]  # fmt: skip
    options = Options(progress=False, cache_dir=False, template="plain")
    given = Source(told, RowFormat("completion"), models, options, labelled=told[1:])
    signal = demonstrated_mutual_information(4, 1)
    found = demonstration_signals([PROBABILITIES, signal], given)
    np.testing.assert_allclose(found[PROBABILITIES].sum(axis=-1), 1)

    def ids(text) -> list[int]:
        return models.tokenizer(text, add_special_tokens=False).input_ids

    samples = []
    for order in draw_orders([None] * 3, 4, 1, seed=0):
        shown = [told[1:][one] for one in order[:1]]
        before = [token for one in shown for text in (one.prompt, one.response, "\n\n") for token in ids(text)]
        row = [models.tokenizer.bos_token_id, *before, *ids(told[0].prompt), *ids(told[0].response)]
        with torch.no_grad():
            logits = models.model(input_ids=torch.tensor([row])).logits[0, -len(ids(told[0].response)) - 1 : -1]
        samples.append(logits.double().softmax(-1).numpy())
    distributions = np.stack(samples)
    entropies = [-(one * np.log(one)).sum(axis=-1) for one in (distributions.mean(axis=0), distributions)]
    assert found[signal][0] == pytest.approx((entropies[0] - entropies[1].mean(axis=0)).mean(), abs=1e-5)
    assert found[signal][0] > 1e-3


def test_the_length_of_a_classifiers_rows_does_not_bound_what_the_companion_reads(
    some, make_model, make_classifier, tokenizer
) -> None:
    models = Models(
        make_classifier(), tokenizer, companions=Companions(language_model=(make_model("llama"), tokenizer))
    )
    whole, short = (
        demonstration_signals([PROBABILITIES], source(some, models, max_length=length))[PROBABILITIES]
        for length in (None, 4)
    )
    assert whole.tobytes() == short.tobytes()
