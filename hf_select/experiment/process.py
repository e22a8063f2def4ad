"""Work that one process does for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def on_main_process(work: Callable[[], T]) -> T:
    """Do something once and give every process its result, or its error.

    Args:
        work: runs on the main process alone; its result must be picklable.

    Returns:
        The result, on every process.

    Raises:
        BaseException: what ``work`` raised, on every process, so that none waits for the others.
    """
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    state = PartialState()
    outcome: list[tuple[T | None, BaseException | None]] = [(None, None)]
    if state.is_main_process:
        try:
            outcome = [(work(), None)]
        except BaseException as error:  # noqa: BLE001 (handed to all processes and raised there)
            outcome = [(None, error)]
    if state.num_processes > 1:
        broadcast_object_list(outcome)
    result, raised = outcome[0]
    if raised is not None:
        raise raised
    return result  # type: ignore[return-value]  # None only where work returns None
