"""Callbacks for the stock ``Trainer``; imported as ``hf_select.callbacks``."""

from hf_select.callbacks.efficiency import EfficiencyCallback
from hf_select.callbacks.evaluation import PassAtKCallback
from hf_select.callbacks.finite_loss import FiniteLossCallback
from hf_select.callbacks.last_step import LastStepCallback
from hf_select.callbacks.selection import SelectionCallback

__all__ = ["EfficiencyCallback", "FiniteLossCallback", "LastStepCallback", "PassAtKCallback", "SelectionCallback"]
