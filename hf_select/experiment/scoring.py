"""Scoring the pool of a trial: the signals of all arms, and the model that reads them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.budget import Budget
from hf_select.experiment.arguments import Arguments
from hf_select.experiment.arm import FULL, Arm
from hf_select.experiment.model import load_model, load_scorer, load_trained
from hf_select.experiment.process import on_main_process
from hf_select.methods import make
from hf_select.signals.keys import ROW_TOKENS, Pass, Signal

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from hf_select.experiment.setting import Setting

_MODEL_PASSES = frozenset({Pass.FORWARD, Pass.ANSWER_ALONE, Pass.GENERATION, Pass.STOCHASTIC})
_WARM_UP = "warm-up"
_WARM_UP_SEED = 1000  # added to the trial's seed, so that the scorer is another model than those of the arms


def needs_of(arms: Iterable[Arm]) -> set[Signal[Any]]:
    """Signals that the arms' methods read, and the row lengths where a budget counts tokens.

    Args:
        arms: the arms.

    Returns:
        The signals.
    """
    chosen = [arm for arm in arms if arm.method != FULL]
    needs = {signal for arm in chosen for signal in make(arm.method).needs}
    return needs | ({ROW_TOKENS} if any(arm.budget and arm.budget.kind == "tokens" for arm in chosen) else set())


def seconds_of(arm: Arm, seconds: Mapping[str, float], arguments: Arguments) -> float:
    """What the signals of one arm cost: its passes, and the warm-up of the scorer if it asked the scorer.

    Args:
        arm: the arm.
        seconds: seconds of each pass, from ``extract_signals``.
        arguments: the arguments of the run.

    Returns:
        Seconds.
    """
    passes = {_pass_of(signal, arguments) for signal in needs_of([arm])}
    spent = sum(seconds.get(kind.value, 0.0) for kind in passes)
    return spent + (seconds.get(_WARM_UP, 0.0) if passes & _MODEL_PASSES else 0.0)


def _pass_of(signal: Signal[Any], arguments: Arguments) -> Pass:
    """The pass that reads a signal: without an embedder, embeddings come out of the scorer's forward pass."""
    pooled = signal.read_in is Pass.EMBEDDING and arguments.selection.embedder is None
    return Pass.FORWARD if pooled else signal.read_in


def extract_signals(setting: Setting, needs: set[Signal[Any]], folder: Path) -> dict[str, float]:
    """Read signals of the pool and save their columns.

    Args:
        setting: what it works on.
        needs: the signals.
        folder: where the columns are saved, as a dataset.

    Returns:
        Seconds of each pass, and of the warm-up.
    """
    from hf_select.extract import extract

    arguments, dataset = setting.arguments, setting.pool.dataset
    passes = sorted({_pass_of(signal, arguments) for signal in needs})
    seconds: dict[str, float] = {}
    scorer: PreTrainedModel | None = None
    if _MODEL_PASSES & set(passes):
        scorer, seconds[_WARM_UP] = _scorer(setting)
    for kind in passes:
        began = time.perf_counter()
        dataset = extract(
            dataset,
            [signal for signal in needs if _pass_of(signal, arguments) is kind],
            model=scorer,
            tokenizer=setting.tokenizer,
            embedder=arguments.selection.embedder,
            columns=setting.pool.columns,
            template=arguments.data.template,
            max_length=arguments.data.max_length,
            max_tokens_per_batch=arguments.selection.max_tokens_per_batch,
            cache_dir=setting.run.folder / "cache",
        )
        seconds[kind.value] = time.perf_counter() - began
    columns = sorted(signal.column for signal in needs)
    on_main_process(lambda: dataset.select_columns(columns).save_to_disk(str(folder)))
    return seconds


def _scorer(setting: Setting) -> tuple[PreTrainedModel, float]:
    """The model that scores, warmed up if asked for, and the seconds that took."""
    selection, model = setting.arguments.selection, setting.arguments.model
    seconds = 0.0
    if selection.scorer_name_or_path:
        scorer: Any = load_scorer(selection.scorer_name_or_path, model)
    elif selection.scorer_warmup_fraction <= 0:
        scorer = load_model(model, setting.tokenizer, seed=setting.seed)
    else:
        folder = setting.run.folder / "scorer" / setting.name
        seconds = float(
            setting.run.stage(f"scorer/{setting.name}", lambda: _warm_up(setting, folder))["training_seconds"]
        )
        scorer = load_trained(folder, model, setting.tokenizer, seed=setting.seed + _WARM_UP_SEED)
    return scorer.to(setting.arguments.training.device), seconds


def _warm_up(setting: Setting, folder: Path) -> dict[str, Any]:
    """Train a copy of the model on some rows, each also without its prompt, so that it knows answers alone."""
    from hf_select.experiment.train import train
    from hf_select.training.warm_up import warm_up_features

    selection, settings = setting.arguments.selection, setting.arguments.training
    usable = np.flatnonzero(~setting.roomless)
    n_rows = Budget.fraction(selection.scorer_warmup_fraction).n_rows(len(usable))
    drawn = np.random.default_rng(setting.seed).permutation(usable)[:n_rows]
    seed = setting.seed + _WARM_UP_SEED
    record = train(
        load_model(setting.arguments.model, setting.tokenizer, seed=seed),
        setting.tokenizer,
        warm_up_features(setting.rows.select(drawn), setting.tokenizer),
        setting.arguments,
        seed=seed,
        folder=folder,
        num_train_epochs=selection.scorer_warmup_epochs,
        max_steps=-1,  # and the same rows in every step, however many processes share them:
        per_device_train_batch_size=max(1, settings.per_device_train_batch_size // settings.world_size),
    )
    return record.to_dict()
