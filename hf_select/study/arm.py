"""The arms: training on from one checkpoint on rows that were picked at random, once, or again and again."""

from __future__ import annotations

import logging
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.experiment.process import on_main_process
from hf_select.select import select
from hf_select.selection import Selection
from hf_select.signals.keys import Indices
from hf_select.study.base_run import load_checkpoint
from hf_select.study.measurement import measure_study
from hf_select.study.schedule import Schedule
from hf_select.study.score import discore_of
from hf_select.study.setting import DYNAMIC, FULL, RANDOM, StudySetting
from hf_select.study.trainer import train_study

if TYPE_CHECKING:
    from hf_select.callbacks import SelectionCallback

logger = logging.getLogger("hf_select")


def run_arm(setting: StudySetting, arm: str) -> dict[str, Any]:
    """Pick, train on from the start checkpoint, and measure.

    Args:
        setting: what the seed works on.
        arm: its name.

    Returns:
        The measures of the arm with this seed; ``selections`` is the ledger of the dynamic arm.
    """
    kind = "arms" if setting.arguments.executes_code else "arms-without-execution"
    picked = None if arm in (DYNAMIC, FULL) else pick(setting, arm)
    found: dict[str, Any] = setting.run.stage(
        f"{kind}/{arm}/{setting.name}", lambda: _train_and_measure(setting, arm, picked)
    )
    return found


def pick(setting: StudySetting, arm: str) -> tuple[Selection, float]:
    """Pick rows once, before the training of an arm.

    Args:
        setting: what the seed works on.
        arm: ``"random"`` or ``"static"``.

    Returns:
        The picks, row ids of the candidates, and the seconds they cost.
    """
    folder = setting.run.folder / "selections" / arm / setting.name

    def compute() -> dict[str, float]:
        began = time.perf_counter()
        selection = _random(setting) if arm == RANDOM else _static(setting)
        on_main_process(lambda: str(selection.save(folder)))
        return {"seconds": time.perf_counter() - began}

    seconds = float(setting.run.stage(f"selections/{arm}/{setting.name}", compute)["seconds"])
    return on_main_process(lambda: Selection.load(folder)), seconds


def _random(setting: StudySetting) -> Selection:
    return select(setting.candidates, "random", setting.budget, seed=setting.seed)


def _static(setting: StudySetting) -> Selection:
    """DIScore's picks at the start checkpoint, of all candidates."""
    return select(
        setting.candidates,
        discore_of(setting.arguments),
        setting.budget,
        seed=setting.seed,
        model=load_checkpoint(setting, setting.start),
        companions={"checkpoints": (setting.checkpoint(setting.start),)},
        reference=setting.reference_features,
        cache_dir=False,
        progress=False,
        **setting.extraction_options,
    )


def _train_and_measure(setting: StudySetting, arm: str, picked: tuple[Selection, float] | None) -> dict[str, Any]:
    study, folder = setting.arguments.study, setting.run.folder / "arms" / arm / setting.name
    on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))  # a killed arm starts anew
    schedule = Schedule.of(study.arm_steps, decay_fraction=study.decay_fraction)
    rows = setting.candidates if picked is None else setting.candidates.select(picked[0].indices)
    callback = _dynamic(setting) if arm == DYNAMIC else None
    model = load_checkpoint(setting, setting.start)
    logger.info("Seed %d: arm %s, %d steps.", setting.seed, arm, study.arm_steps)
    trained = train_study(
        setting,
        model,
        rows,
        folder,
        schedule,
        callbacks=[] if callback is None else [callback],
        start=setting.checkpoint(setting.start),
    ).to_dict()
    ledger = [] if callback is None else callback.ledger
    within = sum(entry["seconds"] for entry in ledger)
    measures = measure_study(model.eval(), setting, setting.split.candidates[_rows_in_use(callback, picked, len(rows))])
    on_main_process(lambda: shutil.rmtree(folder, ignore_errors=True))
    return {
        "seed": setting.seed,
        **trained,
        "rows": ledger[-1]["n_rows"] if ledger else len(rows),
        "selection_seconds": within if picked is None else picked[1],
        "training_seconds": trained["training_seconds"] - within,
        "measures": measures,
        "selections": ledger,
    }


def _rows_in_use(
    callback: SelectionCallback | None, picked: tuple[Selection, float] | None, n_candidates: int
) -> Indices:
    """Row ids of the candidates that the training drew from, at any time."""
    if callback is not None:
        from hf_select.training.live_sampler import Event

        events = [Event.unpacked(event) for event in callback.state()["attributes"]["events"]]
        return np.flatnonzero(np.any([event.in_use for event in events], axis=0))
    return np.arange(n_candidates) if picked is None else picked[0].indices


def _dynamic(setting: StudySetting) -> SelectionCallback:
    """DIScore's picks at the start and every so many steps, with the weights and the optimiser of then."""
    from hf_select.callbacks import SelectionCallback

    study = setting.arguments.study
    options = {name: value for name, value in setting.extraction_options.items() if name != "tokenizer"}
    return SelectionCallback(
        discore_of(setting.arguments),
        setting.budget,
        every=study.every,
        first=0,
        reference=setting.reference_features,
        pool_fraction=study.pool_fraction,
        seed=setting.seed,
        **options,
    )
