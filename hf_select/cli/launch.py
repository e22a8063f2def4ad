"""The processes of a launched command: set up together, left together."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

from hf_select.signals.shards import processes


@contextlib.contextmanager
def launched() -> Iterator[None]:
    """Check that all launched processes know of each other, share out the cores, and leave their group at the end.

    Yields:
        None: nothing; the work is done inside.

    Raises:
        ConfigError: if more processes were launched than work together.
    """
    import torch

    state = processes()
    if state.num_processes > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // state.num_processes))
    try:
        yield
        gc.collect()  # what refers to the process group goes before the group does,
        state.wait_for_everyone()  # and all processes leave it together: gloo can abort or hang otherwise
    finally:
        state.destroy_process_group()


@contextlib.contextmanager
def quiet_libraries(*, progress: bool) -> Iterator[None]:
    """Keep the libraries below from talking: errors only, and bars only where progress is shown.

    Args:
        progress: show progress bars.

    Yields:
        None: nothing; the work is done inside.
    """
    import datasets
    import transformers

    logs = transformers.utils.logging
    verbosity, told = logs.get_verbosity(), (logs.is_progress_bar_enabled(), not datasets.are_progress_bars_disabled())
    logs.set_verbosity_error()
    if not progress:
        logs.disable_progress_bar()
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        logs.set_verbosity(verbosity)
        if told[0]:
            logs.enable_progress_bar()
        if told[1]:
            datasets.enable_progress_bars()
