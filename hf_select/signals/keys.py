"""The vocabulary: every signal with its shape, its unit and the pass that reads it.

A signal of a dataset is one of its columns, ``signal_<name>``, so ``datasets`` caches, shards, streams and pushes it.
Row ``i`` of every signal is row ``i`` of the dataset.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]
Mask: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]
Texts: TypeAlias = NDArray[np.object_]
Values: TypeAlias = "dict[Signal[Any], NDArray[Any]]"


class Task(str, Enum):
    """Kind of model a selection is for."""

    CAUSAL_LM = "causal_lm"
    CLASSIFICATION = "classification"


class Pass(str, Enum):
    """One kind of run that yields signals; every pass runs once, however many methods need it."""

    TEXT = "text"
    EMBEDDING = "embedding"
    FORWARD = "forward"
    ANSWER_ALONE = "answer_alone"
    CLASSIFIER = "classifier"
    STOCHASTIC = "stochastic"
    PERTURBED = "perturbed"
    DEMONSTRATIONS = "demonstrations"
    GENERATION = "generation"
    GRADIENTS = "gradients"
    LOSS_PREDICTION = "loss_prediction"
    INFLUENCE_PREDICTION = "influence_prediction"
    JUDGEMENT = "judgement"


@dataclass(frozen=True)
class Signal(Generic[T]):
    """A named column with a shape and a unit.

    Attributes:
        name: the name in the field's terms; the column is ``signal_<name>``.
        shape: ``"(N,)"``, ``"(N, D)"`` or, over ``S`` samples and ``C`` classes, ``"(N, S, C)"``.
        unit: the unit of one value, for example ``"nats per response token"``.
        read_in: the pass that yields it.
        option: what parameterises the pass, where other parameters give other values (empty for most signals).
    """

    name: str
    shape: str
    unit: str
    read_in: Pass
    option: str = ""

    @property
    def column(self) -> str:
        """Name of the dataset column."""
        return f"signal_{self.name}"

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of a signal of ``_parameterised``."""
        return dict(json.loads(self.option)) if self.option else {}

    @property
    def takes_a_step(self) -> bool:
        """Whether it is read by a step of the optimiser that trains the model."""
        return bool(self.parameters.get("engine", "plain") != "plain")


TEXT_LENGTH: Signal[Integers] = Signal("text_length", "(N,)", "characters of prompt and response", Pass.TEXT)
ROW_TOKENS: Signal[Integers] = Signal("row_tokens", "(N,)", "tokens of prompt and response", Pass.TEXT)
EMBEDDING: Signal[Floats] = Signal("embedding", "(N, D)", "unit vector", Pass.EMBEDDING)
RESPONSE_NLL: Signal[Floats] = Signal("response_nll", "(N,)", "nats per response token", Pass.FORWARD)
RESPONSE_TOKENS: Signal[Integers] = Signal("response_tokens", "(N,)", "scored response tokens", Pass.FORWARD)
HIDDEN_STATE: Signal[Floats] = Signal("hidden_state", "(N, D)", "mean last hidden state over the row", Pass.FORWARD)


def answer_alone_nll(prefix: str = "") -> Signal[Floats]:
    """The signal of the response without its prompt.

    Args:
        prefix: text that stands before the response instead of the prompt: nothing (Superfiltering, CodeACT) or a
            separator such as ``"### Response:"`` (Cherry).

    Returns:
        The signal; another prefix is another signal with a column of its own.
    """
    if not prefix:
        return ANSWER_ALONE_NLL
    return Signal(f"answer_alone_nll_after_{prefix.encode().hex()}", "(N,)", "nats per response token",
                  Pass.ANSWER_ALONE, prefix)  # fmt: skip


ANSWER_ALONE_NLL: Signal[Floats] = Signal("answer_alone_nll", "(N,)", "nats per response token", Pass.ANSWER_ALONE)


ROW_TEXT: Signal[Texts] = Signal("row_text", "(N,)", "text of prompt and response, joined by a newline", Pass.TEXT)

TOKEN_ENTROPY: Signal[Floats] = Signal("token_entropy", "(N,)", "nats, mean over response tokens", Pass.FORWARD)
MAX_TOKEN_ENTROPY: Signal[Floats] = Signal("max_token_entropy", "(N,)", "nats, largest of the response", Pass.FORWARD)
TOP_TOKEN_NLL: Signal[Floats] = Signal(
    "top_token_nll", "(N,)", "nats per response token, of the token the model holds most likely there", Pass.FORWARD
)
TOKEN_MARGIN: Signal[Floats] = Signal(
    "token_margin", "(N,)", "probability of the first less the second token, mean over the response", Pass.FORWARD
)
MIN_TOKEN_MARGIN: Signal[Floats] = Signal(
    "min_token_margin", "(N,)", "probability of the first less the second token, least of the response", Pass.FORWARD
)
WEIGHTED_STATE: Signal[Floats] = Signal(
    "weighted_state", "(N, D)", "last hidden states, mean weighted by position 1..T", Pass.FORWARD
)
GRADIENT_SKETCH: Signal[Floats] = Signal(
    "gradient_sketch", "(N, D)", "sketch of the head's gradient at the model's own tokens", Pass.FORWARD
)

CLASS_PROBABILITIES: Signal[Floats] = Signal("class_probabilities", "(N, C)", "probability", Pass.CLASSIFIER)
PENULTIMATE_STATE: Signal[Floats] = Signal("penultimate_state", "(N, D)", "input of the last layer", Pass.CLASSIFIER)
EXPECTED_GRADIENT_LENGTH: Signal[Floats] = Signal(
    "expected_gradient_length", "(N,)", "norm of the head's gradient, mean over the classes", Pass.CLASSIFIER
)
PREDICTED_LOSS: Signal[Floats] = Signal("predicted_loss", "(N,)", "nats", Pass.LOSS_PREDICTION)
EDUCATIONAL_VALUE: Signal[Floats] = Signal("educational_value", "(N,)", "points 1..5", Pass.JUDGEMENT)


def _parameterised(name: str, shape: str, unit: str, read_in: Pass, **parameters: Any) -> Signal[Any]:
    """A signal whose values depend on parameters; other parameters are another signal with a column of its own."""
    suffix = "_".join(f"{key}_{value}" for key, value in sorted(parameters.items()))
    return Signal(f"{name}_{suffix}", shape, unit, read_in, json.dumps(parameters, sort_keys=True))


def stochastic_probabilities(n_samples: int) -> Signal[Floats]:
    """Class probabilities under ``n_samples`` dropout masks (shared by all rows), adapters or checkpoints."""
    return _parameterised("stochastic_probabilities", "(N, S, C)", "probability", Pass.STOCHASTIC, n_samples=n_samples)


def token_mutual_information(n_samples: int) -> Signal[Floats]:
    """Mutual information of next token and model, mean over the response, under ``n_samples`` stochastic forwards."""
    return _parameterised(
        "token_mutual_information", "(N,)", "nats per response token", Pass.STOCHASTIC, n_samples=n_samples
    )


def perturbed_probabilities(n_variants: int) -> Signal[Floats]:
    """Class probabilities of the row itself and of ``n_variants - 1`` wordings that mean the same."""
    return _parameterised("perturbed_probabilities", "(N, S, C)", "probability", Pass.PERTURBED, n_variants=n_variants)


def generation_agreement(n_variants: int, similarity: str, pairs: str) -> Signal[Floats]:
    """Mean similarity, 0..1, of what the model generates for ``n_variants`` wordings of the prompt."""
    return _parameterised(
        "generation_agreement", "(N,)", "similarity 0..1", Pass.GENERATION,
        n_variants=n_variants, similarity=similarity, pairs=pairs,
    )  # fmt: skip


def sampled_gradient_length(n_samples: int) -> Signal[Floats]:
    """Norm of the head's gradient, mean over ``n_samples`` responses that the model samples itself."""
    return _parameterised("sampled_gradient_length", "(N,)", "norm", Pass.GENERATION, n_samples=n_samples)


def demonstrated_probabilities(n_sets: int, n_demonstrations: int) -> Signal[Floats]:
    """Class probabilities of a language model after each of ``n_sets`` sets of labelled demonstrations."""
    return _parameterised(
        "demonstrated_probabilities", "(N, S, C)", "probability", Pass.DEMONSTRATIONS,
        n_sets=n_sets, n_demonstrations=n_demonstrations,
    )  # fmt: skip


def demonstrated_mutual_information(n_sets: int, n_demonstrations: int) -> Signal[Floats]:
    """Mutual information of next token and set of demonstrations, mean over the response."""
    return _parameterised(
        "demonstrated_mutual_information", "(N,)", "nats per response token", Pass.DEMONSTRATIONS,
        n_sets=n_sets, n_demonstrations=n_demonstrations,
    )  # fmt: skip


def less_influence(
    update: str = "adam", aggregation: str = "mean_of_cosines", eps: str = "inside", bias_correction: bool = False
) -> Signal[Floats]:
    """LESS: cosine of a row's optimiser update with the gradient of each reference task, one column per task."""
    return _parameterised(
        "less_influence", "(N, D)", "cosine, weighted mean over checkpoints", Pass.GRADIENTS,
        update=update, aggregation=aggregation, eps=eps, bias_correction=bias_correction,
    )  # fmt: skip


def effort(measure: str, model: str = "target") -> Signal[Floats]:
    """STAFF: how much a row would change the ``target`` model, or the small ``draft`` model, to learn it."""
    return _parameterised("effort", "(N,)", "norm of the gradient", Pass.GRADIENTS, measure=measure, model=model)


def one_step_influence(
    engine: str = "exact", learning_rate: float | None = None, max_norm: float | None = 1.0, n_checkpoints: int = 1
) -> Signal[Floats]:
    """DIScore: how much one optimiser step on the row alone lowers the loss of each reference task, a column per task.

    Args:
        engine: how it is computed; see ``hf_select.signals.gradients.one_step``.
        learning_rate: of the step; ``None`` for what the optimiser is at.
        max_norm: norm that the row's gradient is clipped to; ``None`` for no clipping.
        n_checkpoints: read at the last so many checkpoints, the columns of the oldest first.

    Returns:
        The signal.
    """
    return _parameterised(
        "one_step_influence", "(N, D)", "nats of reference loss, lowered by one step", Pass.GRADIENTS, engine=engine,
        learning_rate=None if learning_rate is None else float(learning_rate),
        max_norm=None if max_norm is None else float(max_norm),
        **({"n_checkpoints": n_checkpoints} if n_checkpoints > 1 else {}),
    )  # fmt: skip


def predicted_influence(
    engine: str = "exact", learning_rate: float | None = None, max_norm: float | None = 1.0, n_labelled: int = 2000
) -> Signal[Floats]:
    """What an encoder that learned ``one_step_influence`` on ``n_labelled`` rows says of all, mean over the tasks."""
    return _parameterised(
        "predicted_influence", "(N,)", "nats of reference loss, lowered by one step", Pass.INFLUENCE_PREDICTION,
        engine=engine,
        learning_rate=None if learning_rate is None else float(learning_rate),
        max_norm=None if max_norm is None else float(max_norm),
        n_labelled=n_labelled,
    )  # fmt: skip


_FACTORIES: tuple[Callable[..., Signal[Any]], ...] = (
    stochastic_probabilities, token_mutual_information, perturbed_probabilities, generation_agreement,
    sampled_gradient_length, demonstrated_probabilities, demonstrated_mutual_information, less_influence, effort,
    one_step_influence, predicted_influence,
)  # fmt: skip


def is_known(signal: Signal[Any]) -> bool:
    """Whether a signal is one of this module.

    Args:
        signal: any signal.

    Returns:
        True for the constants here and for what the functions here make.
    """
    constants = [value for value in globals().values() if isinstance(value, Signal)]
    made = [answer_alone_nll(signal.option), *(_remake(factory, signal) for factory in _FACTORIES)]
    return signal in constants or signal in made


def _remake(factory: Callable[..., Signal[Any]], signal: Signal[Any]) -> Signal[Any] | None:
    """What a function of this module makes of a signal's parameters; ``None`` if it does not take them."""
    try:
        return factory(**signal.parameters)
    except (TypeError, ValueError):
        return None
