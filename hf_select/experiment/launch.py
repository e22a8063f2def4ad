"""Setting up a process of a launched recipe, and leaving it in order."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import Iterator

from hf_select.errors import ConfigError
from hf_select.experiment.arguments import Arguments


@contextlib.contextmanager
def prepare_process(arguments: Arguments) -> Iterator[None]:
    """Set threads and logging, check that all launched processes know of each other, and leave their group at the end.

    ``accelerate launch`` sets one OpenMP thread a process, and on a CPU it can start copies that each believe to be
    alone, train alone and overwrite each other's output.

    Args:
        arguments: the arguments of the run.

    Yields:
        None: nothing; the recipe runs inside.

    Raises:
        ConfigError: if more processes were launched than work together.
    """
    import torch
    from accelerate import PartialState

    from hf_select.evaluation.sandbox import use_level

    state = PartialState(cpu=arguments.training.use_cpu)
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched != state.num_processes:
        raise ConfigError(
            f"{launched} processes were launched, but {state.num_processes} work together. On CPUs launch with "
            f"'ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes {launched} ...'."
        )
    n_threads = arguments.run.num_threads or max(1, (os.cpu_count() or 1) // state.num_processes)
    torch.set_num_threads(n_threads)
    _set_up_logging(is_main=state.is_main_process)
    try:
        with use_level(arguments.evaluation.sandbox_level, executes_code=arguments.evaluation.allow_code_eval):
            yield
        gc.collect()  # what refers to the process group goes before the group does,
        state.wait_for_everyone()  # and all processes leave it together: gloo can abort or hang otherwise
    finally:
        state.destroy_process_group()


def _set_up_logging(*, is_main: bool) -> None:
    """Progress and estimates of this library on the main process; only errors from the others."""
    import transformers

    logger = logging.getLogger("hf_select")
    logger.setLevel(logging.INFO if is_main else logging.ERROR)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    transformers.logging.set_verbosity_error()
