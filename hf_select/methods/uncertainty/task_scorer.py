"""What the scorers of uncertainty share: one name for both kinds of model, whose signals differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from hf_select.errors import ConfigError
from hf_select.methods.base import Family, Scorer
from hf_select.methods.field import require_choice

TaskName = Literal["causal_lm", "classification"]


@dataclass(frozen=True)
class TaskScorer(Scorer):
    """A scorer of uncertainty that reads other signals of a causal language model than of a classifier.

    Attributes:
        task: kind of model that is asked, ``"causal_lm"`` or ``"classification"``.
    """

    family: ClassVar[Family] = Family.UNCERTAINTY

    task: TaskName = "causal_lm"

    def __post_init__(self) -> None:
        require_choice("task", self.task, ("causal_lm", "classification"))

    def _require_default(self, field: str, task: TaskName, reason: str) -> None:
        """Refuse a field that one kind of model gives no meaning, unless it is left at its default.

        Args:
            field: its name.
            task: the kind of model.
            reason: why it has no meaning there.

        Raises:
            ConfigError: if ``self.task`` is that kind and the field is not at its default.
        """
        value, default = getattr(self, field), type(self).__dataclass_fields__[field].default
        if self.task == task and value != default:
            other = "classification" if task == "causal_lm" else "causal_lm"
            raise ConfigError(
                f"{field}={value!r} means nothing for task={task!r}: {reason}. Leave {field} at {default!r}, or give "
                f"task={other!r}."
            )
