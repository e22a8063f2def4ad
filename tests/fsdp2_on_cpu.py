"""FSDP2 on CPUs, which ``accelerate`` offers on accelerators only; runs another program there.

accelerate launch --config_file recipes/accelerate/fsdp2.yaml tests/fsdp2_on_cpu.py recipes/codeact.py ARGUMENT ...
"""

import runpy
import sys
from typing import Any

import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType

_set_up = PartialState.__init__


def _set_up_as_on_gpus(self: PartialState, cpu: bool = False, **kwargs: Any) -> None:
    _set_up(self, cpu=False, **kwargs)


def _on_cpu(self: PartialState) -> None:
    self.device = torch.device("cpu")


if __name__ == "__main__":
    PartialState.__init__ = _set_up_as_on_gpus
    PartialState._prepare_backend = lambda self, *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)
    PartialState.set_device = _on_cpu
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
