"""Gates: rows in, keep or drop with a reason. They come before any method, and before any model is loaded."""

from __future__ import annotations

from typing import Any

from hf_select.errors import unknown_name
from hf_select.gates.base import Gate, GateReport, apply_gates
from hf_select.gates.duplicates import DuplicateGate
from hf_select.gates.runs import RunsGate

GATES: dict[str, type[Gate]] = {gate.name: gate for gate in (DuplicateGate, RunsGate)}
"""Every gate by name."""


def make_gate(name: str, **fields: Any) -> Gate:
    """Build a gate by name.

    Args:
        name: a key of ``GATES``.
        **fields: arguments of the gate.

    Returns:
        The gate.

    Raises:
        UnknownNameError: if there is no such gate.
    """
    if name not in GATES:
        raise unknown_name("gate", name, GATES)
    return GATES[name](**fields)


__all__ = ["GATES", "DuplicateGate", "Gate", "GateReport", "RunsGate", "apply_gates", "make_gate"]
