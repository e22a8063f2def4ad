import pytest

from hf_select.errors import ConfigError
from hf_select.methods import Task
from hf_select.methods.uncertainty.bald import BALD
from hf_select.methods.uncertainty.egl import EGL
from hf_select.methods.uncertainty.entropy import Entropy
from hf_select.methods.uncertainty.least_confidence import LeastConfidence
from hf_select.methods.uncertainty.margin import Margin
from hf_select.methods.uncertainty.spuq import SPUQ
from hf_select.methods.uncertainty.uq_icl import UQICL
from hf_select.signals.keys import Pass, is_known

METHODS = [LeastConfidence, Entropy, Margin, BALD, EGL, SPUQ, UQICL]


@pytest.mark.parametrize("method", METHODS)
def test_serves_both_kinds_of_model_with_signals_of_their_own(method):
    assert method.tasks == frozenset(Task)
    assert method() == method(task="causal_lm") == method("causal_lm")
    of_responses, of_labels = method().needs, method(task="classification").needs
    assert len(of_responses) == len(of_labels) == 1
    assert of_responses != of_labels
    assert all(is_known(signal) for signal in of_responses | of_labels)


def test_the_passes_are_those_of_the_kind_of_model():
    read_in = [[next(iter(m(task).needs)).read_in for m in METHODS] for task in ("causal_lm", "classification")]
    assert read_in == [
        [Pass.FORWARD] * 3 + [Pass.STOCHASTIC, Pass.GENERATION, Pass.GENERATION, Pass.DEMONSTRATIONS],
        [Pass.CLASSIFIER] * 3 + [Pass.STOCHASTIC, Pass.CLASSIFIER, Pass.PERTURBED, Pass.DEMONSTRATIONS],
    ]


@pytest.mark.parametrize("method", METHODS)
def test_another_task_is_refused(method):
    with pytest.raises(ConfigError, match="task='regression' is not known; give one of 'causal_lm', 'classification'"):
        method(task="regression")


@pytest.mark.parametrize(
    ("method", "task", "fields", "reason"),
    [
        (LeastConfidence, "classification", {"norm": "sum"}, "a label has no tokens"),
        (Entropy, "classification", {"aggregate": "max"}, "a label is one prediction"),
        (Margin, "classification", {"aggregate": "min"}, "a label is one prediction"),
        (BALD, "causal_lm", {"measure": "variation_ratio"}, "it counts votes for a class"),
        (EGL, "classification", {"n_samples": 8}, "the mean over the classes is exact"),
        (SPUQ, "classification", {"similarity": "rouge_l"}, "distributions are compared"),
    ],
)
def test_a_field_that_the_task_gives_no_meaning_is_refused_with_the_reason(method, task, fields, reason):
    ((field, value),) = fields.items()
    with pytest.raises(ConfigError, match=f"^{field}={value!r} means nothing for task={task!r}: {reason}"):
        method(task=task, **fields)
    other = "classification" if task == "causal_lm" else "causal_lm"
    assert getattr(method(task=other, **fields), field) == value
