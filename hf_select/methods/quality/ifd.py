"""Instruction-following difficulty: how little the instruction helps the model to find the response."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from hf_select.methods.base import Exclusions, Family, Picks, Scorer, Scores, Task
from hf_select.methods.field import require_choice, require_positive, require_text
from hf_select.signals.keys import RESPONSE_NLL, Indices, Signal, answer_alone_nll
from hf_select.signals.table import Signals

_ENOUGH_ROWS = 100  # in a smaller dataset "no row reaches the limit" says nothing about the scorer


@dataclass(frozen=True)
class IFD(Scorer):
    """Instruction-following difficulty.

    ``IFD_i = PPL(response_i | prompt_i) / PPL(response_i) = exp(nll_i - nll_alone_i)``

    Near 1 the instruction hardly helps: a hard row. At 1 or above it does not help at all: prompt and response do not
    belong together, and the row is not eligible.

    Attributes:
        ratio: of perplexities (Superfiltering, CodeACT) or of mean losses (Cherry); they order rows differently.
        prefix: text before the response in the answer-alone pass: nothing, or a separator such as
            ``"### Response:"``; another prefix is another signal.
        max_ifd: rows at this value are not eligible; ``None`` keeps all.
        max_inclusive: whether a row exactly at ``max_ifd`` is still eligible.

    Needs:
        ``response_nll`` and ``answer_alone_nll``.

    Higher means:
        More complex, kept first. The score is ``log IFD`` for the perplexity ratio (it ranks the same and cannot
        overflow) and the ratio itself for the loss ratio; ``ifd`` reports IFD.

    Fails when:
        The scorer never saw an answer without its instruction, so that the denominator means nothing; and on wrong
        answers, which look as hard to follow as good ones.

    Cost:
        Two forward passes; O(N log N) to rank.

    Source:
        Li et al. 2024 (Cherry LLM), Li et al. 2024 (Superfiltering), Lv et al. 2024 (CodeACT).

    Differs from the source:
        A row whose ratio is not finite is not eligible; the published scripts give it IFD 0 and keep it. Cherry's
        script breaks ties to the larger row id, this to the lower. ``IFD.cherry()`` gives Cherry's ratio, separator and
        limit; the fields' defaults are those of Superfiltering and CodeACT.
    """

    name = "ifd"
    family = Family.QUALITY
    citation = "Li et al. 2024, arXiv:2308.12032; Li et al. 2024, arXiv:2402.00530; Lv et al. 2024, arXiv:2408.02193"
    tasks = frozenset({Task.CAUSAL_LM})
    unsuited: ClassVar[Mapping[Task, str]] = {
        Task.CLASSIFICATION: "it needs a response beside the prompt; 'entropy' or 'learning_loss' rank hard rows."
    }

    ratio: Literal["perplexity", "loss"] = "perplexity"
    prefix: str = ""
    max_ifd: float | None = 1.0
    max_inclusive: bool = False

    def __post_init__(self) -> None:
        require_choice("ratio", self.ratio, ("perplexity", "loss"))
        require_choice("max_inclusive", self.max_inclusive, (False, True))
        require_text("prefix", self.prefix)
        if self.max_ifd is not None:
            require_positive("max_ifd", self.max_ifd)

    @classmethod
    def cherry(cls, prefix: str = "### Response:") -> IFD:
        """The form of Cherry LLM: ratio of losses, a separator before the lone answer, rows above 1 dropped.

        Args:
            prefix: the separator; the published script has ``"ASSISTANT:"`` for Vicuna.

        Returns:
            The method.
        """
        return cls(ratio="loss", prefix=prefix, max_inclusive=True)

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The loss of the response with and without its prompt."""
        return frozenset({RESPONSE_NLL, answer_alone_nll(self.prefix)})

    def score(self, signals: Signals) -> Scores:
        """``log IFD`` (perplexity ratio) or IFD (loss ratio)."""
        given = np.asarray(signals[RESPONSE_NLL], dtype=np.float64)
        alone = np.asarray(signals[answer_alone_nll(self.prefix)], dtype=np.float64)
        finite = np.isfinite(given) & np.isfinite(alone)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(finite, given - alone if self.ratio == "perplexity" else given / alone, np.nan)

    def ifd(self, signals: Signals) -> Scores:
        """IFD of every row: ``(N,)``, 1 = the instruction does not help."""
        score = self.score(signals)
        with np.errstate(over="ignore"):
            return np.exp(score) if self.ratio == "perplexity" else score

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows without a finite IFD, and rows beyond the limit."""
        score = self.score(signals)
        finite = np.isfinite(score)
        if self.max_ifd is None:
            return {"no finite score": ~finite}
        limit = math.log(self.max_ifd) if self.ratio == "perplexity" else self.max_ifd
        beyond = score > limit if self.max_inclusive else score >= limit
        return {
            "no finite score": ~finite,
            f"IFD {'>' if self.max_inclusive else '>='} {self.max_ifd:g}": beyond & finite,
        }

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The ``k`` eligible rows with the highest IFD; warns if the scorer cannot tell (see ``check_scorer``)."""
        self.check_scorer(signals)
        return super().choose(signals, rows, k, rng)

    def check_scorer(self, signals: Signals) -> None:
        """Warn if no row at all has an IFD of 1 or more.

        A model that never learned responses without instructions finds every lone answer hopeless, so that every
        instruction seems to help: the limit never fires, and the highest IFD collects wrong rows.

        Args:
            signals: the declared signals of all rows.
        """
        ifd = self.ifd(signals)
        ifd = ifd[np.isfinite(ifd)]
        if len(ifd) >= _ENOUGH_ROWS and ifd.max() < 1:
            warnings.warn(
                f"No row of {len(ifd)} has an IFD of 1 or more (largest: {ifd.max():.3f}). If the scoring model was "
                f"only trained on answers that follow instructions, its IFD has no meaning: score with a base model, "
                f"or train with some prompts left out.",
                stacklevel=3,
            )
