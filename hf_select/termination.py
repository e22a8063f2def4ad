"""SIGTERM during long work: noted at once, acted upon between two batches, by all processes together.

    with Termination() as termination:       the handler notes the signal, then calls the one that was there before
        for batch in batches:
            if termination.is_due():         on every process, once any of them was told to stop
                break
        ...what is finished is written...
    raise Terminated(...)                    exit status 143

Ctrl-C needs none of this: it is raised where it strikes, and files are whole or absent whenever that is.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_STATUS = 128 + signal.SIGTERM
_SECONDS_BETWEEN_QUESTIONS = 1.0  # to the other processes
_numbers = itertools.count()  # all processes do the same long works in the same order


class Terminated(SystemExit):
    """The process was told to stop, and leaves its work in order; ends it with status 143."""

    def __init__(self, message: str) -> None:
        leave_quickly()
        super().__init__(_STATUS)
        self.message = message

    def __str__(self) -> str:
        """What was stopped, what is kept, and how to go on."""
        return self.message


class Termination:
    """Notes SIGTERM while some work is done, without taking it from the handler that is there.

    A handler of the caller is called as before, and if it ends the process it has its way behind the batch. Where
    SIGTERM is ignored it stays ignored. Outside of the main thread, where Python handles no signals, nothing is noted.

    Attributes:
        is_asked: the process, or another one of the run, was told to stop.
        ended_by: what the handler of the caller raised to end the process.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.ended_by: SystemExit | None = None
        self._before: Any = signal.SIG_IGN
        self._key = f"hf_select/terminated/{next(_numbers)}"
        self._is_told, self._asked_at = False, 0.0

    def __enter__(self) -> Termination:
        """Begin to note the signal."""
        before = signal.getsignal(signal.SIGTERM)
        is_ours_to_note = threading.current_thread() is threading.main_thread()
        if is_ours_to_note and before is not None and before is not signal.SIG_IGN:  # None: not set from Python
            self._before = before
            signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the handler back that was there before."""
        if signal.getsignal(signal.SIGTERM) == self._note:
            signal.signal(signal.SIGTERM, self._before)

    def is_due(self) -> bool:
        """Whether this process or another one of the run was told to stop.

        Returns:
            True from then on.
        """
        store = _store()
        if store is None:
            return self.is_asked
        if self.is_asked and not self._is_told:
            store.set(self._key, "1")
            self._is_told = True
        elif not self.is_asked and time.monotonic() - self._asked_at > _SECONDS_BETWEEN_QUESTIONS:
            self._asked_at = time.monotonic()
            self.is_asked = self._is_told = bool(store.check([self._key]))
        return self.is_asked

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True
        if callable(self._before):
            try:
                self._before(number, frame)
            except SystemExit as ended:
                self.ended_by = ended


def leave_quickly() -> None:
    """Have the interpreter end without collecting garbage, which takes seconds of computing once torch is loaded."""
    atexit.register(gc.freeze)


def _store() -> Any:
    """What the processes of a run share besides collective calls, which would have them wait for one another."""
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return None
    from torch.distributed.distributed_c10d import _get_default_store

    return _get_default_store()
