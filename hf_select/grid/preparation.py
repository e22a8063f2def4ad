"""What must be trained before the signals of a seed can be read: the warmed-up model, and some methods' companions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.grid.setting import GridSetting
from hf_select.methods import Method
from hf_select.signals.keys import EMBEDDING, Pass, Signal, Task
from hf_select.signals.models import Companions, Models

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("hf_select")

WARM_UP, LANGUAGE_MODEL, DRAFT_MODEL, LOSS_HEAD = "warm_up", "language_model", "draft_model", "loss_head"

_LANGUAGE_POSITIONS = 2048  # room for demonstrations
_LANGUAGE_TRAINING = {"num_train_epochs": 2, "learning_rate": 3e-3}  # from nothing, over the texts of the pool


def prepared_by(signal: Signal[Any], setting: GridSetting) -> str | None:
    """What must be trained before a signal can be read.

    Args:
        signal: the signal.
        setting: what the seed works on.

    Returns:
        ``WARM_UP``, ``LANGUAGE_MODEL``, ``DRAFT_MODEL`` or ``LOSS_HEAD``; ``None`` if no model of the run reads it.
    """
    if signal.read_in is Pass.TEXT or (signal == EMBEDDING and setting.arguments.selection.embedder is not None):
        return None
    if signal.read_in is Pass.DEMONSTRATIONS and setting.arguments.task is Task.CLASSIFICATION:
        return LANGUAGE_MODEL
    if signal.read_in is Pass.LOSS_PREDICTION:
        return LOSS_HEAD
    return DRAFT_MODEL if signal.parameters.get("model") == "draft" else WARM_UP


def reads_optimiser(signal: Signal[Any]) -> bool:
    """Whether a signal is read at checkpoints of the warm-up, with the state of its optimiser."""
    return signal.name.startswith(("less_influence", "one_step_influence"))


@dataclass
class Preparation:
    """The models that read the signals of one seed, each trained once, when it is first needed.

    Attributes:
        setting: what the seed works on.
        methods: the methods of the run.
        seconds: what each training took, by ``WARM_UP``, ``LANGUAGE_MODEL``, ``DRAFT_MODEL`` and ``LOSS_HEAD``.
    """

    setting: GridSetting
    methods: tuple[Method, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def train(self, signals: Iterable[Signal[Any]]) -> None:
        """Train what some signals are read with, unless that was done.

        Args:
            signals: the signals.
        """
        for kind in sorted({kind for signal in signals if (kind := prepared_by(signal, self.setting))}):
            getattr(self, f"_{kind}")  # trained when it is first asked for

    def models(self, signals: Iterable[Signal[Any]]) -> Models:
        """What some signals are read with.

        Args:
            signals: the signals.

        Returns:
            Model, tokenizer, embedder and companions.
        """
        wanted, arguments = list(signals), self.setting.arguments
        needed = {prepared_by(signal, self.setting) for signal in wanted}
        companions = Companions(
            language_model=self._language_model if LANGUAGE_MODEL in needed else None,
            draft_model=str(self._draft_model) if DRAFT_MODEL in needed else None,
            checkpoints=self._checkpoints if any(map(reads_optimiser, wanted)) else (),
            loss_head=self._judge[1] if LOSS_HEAD in needed else None,
        )
        model = None if needed <= {None} else self._judge[0] if LOSS_HEAD in needed else self._model
        embedder = arguments.selection.embedder
        return Models(model, self.setting.base.tokenizer, embedder, None, arguments.task, companions)

    @cached_property
    def _model(self) -> Any:
        """The model after its warm-up, on the device of this process."""
        from hf_select.signals.shards import processes

        model = self.setting.base.trained(self._warm_up, seed=self.setting.seed)
        return model.to(processes().device).eval()

    @cached_property
    def _warm_up(self) -> Path:
        """Folder of the model after its warm-up on the labelled rows."""
        setting = self.setting
        needs = [signal for method in self.methods for signal in method.needs]
        n_checkpoints = setting.arguments.selection.n_checkpoints if any(map(reads_optimiser, needs)) else 0
        name = f"{setting.name}-{n_checkpoints}-checkpoints" if n_checkpoints else setting.name
        return self._trained(
            WARM_UP, name, lambda: _Lesson(setting.base.fresh(setting.seed), n_checkpoints=n_checkpoints)
        )

    @cached_property
    def _checkpoints(self) -> tuple[Path, ...]:
        """Checkpoints of the warm-up, first to last."""
        folders = self._warm_up.glob("checkpoint-*")
        return tuple(sorted(folders, key=lambda folder: int(folder.name.rpartition("-")[2])))

    @cached_property
    def _judge(self) -> tuple[Any, Any]:
        """A model that was warmed up together with a head for its loss, and that head."""
        from hf_select.signals.shards import processes
        from hf_select.training.joint_loss import load_loss_head

        model = self.setting.base.trained(self._loss_head, seed=self.setting.seed).to(processes().device).eval()
        return model, load_loss_head(self._loss_head, model)

    @cached_property
    def _loss_head(self) -> Path:
        """Folder of that model and its head."""
        setting = self.setting
        return self._trained(
            LOSS_HEAD, setting.name, lambda: _Lesson(setting.base.fresh(setting.seed), with_loss_head=True)
        )

    @cached_property
    def _draft_model(self) -> Path:
        """Folder of the small model, warmed up as the model was."""
        base, name = self.setting.base, self.setting.arguments.model.draft_model_name_or_path

        def lesson() -> _Lesson:
            return _Lesson(base.draft(self.setting.seed)) if name is None else _Lesson(name, name)

        return self._trained(DRAFT_MODEL, self.setting.name, lesson)

    @cached_property
    def _language_model(self) -> str:
        """Name of the causal language model, or the folder of one that learned the texts of the pool."""
        name = self.setting.arguments.model.language_model_name_or_path
        if name is not None:
            return name

        def lesson() -> _Lesson:
            from datasets import Dataset

            from hf_select.demo.model import build_model, train_tokenizer

            texts = [self.setting.data.texts[row] for row in self.setting.split.pool]
            words = train_tokenizer(texts)
            model = build_model(words, self.setting.seed, max_length=_LANGUAGE_POSITIONS)
            return _Lesson(model, words, Dataset.from_dict({"text": texts}), training=_LANGUAGE_TRAINING)

        return str(self._trained(LANGUAGE_MODEL, self.setting.name, lesson))

    def _trained(self, kind: str, name: str, lesson: Callable[[], _Lesson]) -> Path:
        """Train a model, once, and note what that took; the folder it lies in."""
        setting, folder = self.setting, self.setting.run.folder / kind / name

        def compute() -> dict[str, float]:
            logger.info("Seed %d: training for the signals (%s).", setting.seed, kind.replace("_", " "))
            return lesson().train(setting, folder)

        record = setting.run.stage(f"{kind}/{name}", compute)
        self.seconds[kind] = float(record["seconds"])
        return folder


@dataclass(frozen=True)
class _Lesson:
    """A model, and what it learns before it reads signals."""

    model: Any
    tokenizer: Any = None
    rows: Dataset | None = None
    n_checkpoints: int = 0
    with_loss_head: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)

    def train(self, setting: GridSetting, folder: Path) -> dict[str, float]:
        """Train and save it; the labelled rows of the pool, where no others were given."""
        from hf_select.training.warm_up_stage import warm_up

        arguments, on_pool = setting.arguments, self.rows is None
        training = {
            "num_train_epochs": arguments.selection.warm_up_epochs,
            "learning_rate": arguments.training.learning_rate,
            "per_device_train_batch_size": arguments.training.per_device_train_batch_size,
        }
        done = warm_up(
            self.model,
            setting.pool.select(setting.labelled) if self.rows is None else self.rows,
            tokenizer=self.tokenizer or setting.base.tokenizer,
            columns=setting.data.pool.columns if on_pool else None,
            n_labels=setting.data.n_labels or None,
            template=arguments.data.template if on_pool else None,
            max_length=setting.max_length,
            n_checkpoints=self.n_checkpoints,
            with_loss_head=self.with_loss_head,
            output_dir=folder,
            seed=setting.seed,
            **{**training, **self.training},
        )
        return {"seconds": done.seconds, "training_loss": done.training_loss}
