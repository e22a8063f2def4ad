"""What a report draws of one selection: scores, clusters, lengths and the map of the embeddings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from hf_select.experiment.arm import FULL, Arm
from hf_select.experiment.trial import Trial
from hf_select.methods import Scorer, make
from hf_select.methods.cdas import CDAS
from hf_select.report import SelectionView
from hf_select.selection import Selection
from hf_select.signals.keys import EMBEDDING
from hf_select.signals.table import Signals

_ORIGIN = "origin"  # column of the embedded pool that tells planted junk


def selection_view(trial: Trial, arm: Arm, selection: Selection) -> SelectionView | None:
    """Gather what can be drawn of the selection of one arm.

    Args:
        trial: the trial, its signals extracted.
        arm: the arm.
        selection: its selection.

    Returns:
        The view; ``None`` for an arm that chooses by chance or not at all, of which there is nothing to see.
    """
    if arm.method in (FULL, "random") or trial.signals is None:
        return None
    method = make(arm.method)
    signals = Signals.from_dataset(trial.signals, method.needs, candidates=trial.candidates(arm))
    shown: dict[str, Any] = {}
    if isinstance(method, CDAS):
        scorer = method.complexity
        ifd = scorer.ifd(signals)
        shown |= {"scores": ifd, "score_name": "IFD", "score_unit": "perplexity ratio", "threshold": method.max_ifd}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said once, when the rows were picked
            labels = method.strata(signals, np.random.default_rng(trial.setting.seed))
        shown |= {"strata": [f"cluster {label}" if label >= 0 else "no candidate" for label in labels]}
        shown |= {"strata_name": "cluster"}
    elif isinstance(method, Scorer):
        shown |= {"scores": method.score(signals), "score_name": arm.method}
    if _ORIGIN in trial.setting.pool.dataset.column_names:
        shown |= {"strata": list(trial.setting.pool.dataset[_ORIGIN]), "strata_name": "origin of the row"}
    return SelectionView(
        name=arm.name,
        kept=selection.mask(),
        row_tokens=np.array([len(ids) for ids in trial.setting.rows["input_ids"]]),
        vectors=signals[EMBEDDING] if EMBEDDING in method.needs else None,
        tokenizer=trial.setting.arguments.model.tokenizer_name or trial.setting.arguments.model.model_name_or_path,
        seed=trial.setting.seed,
        **shown,
    )
