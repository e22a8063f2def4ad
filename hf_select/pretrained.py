"""What can go wrong when a model, tokenizer or encoder is loaded by name, said as errors of this library.

A name may point at a stranger's repository. Nothing in it is run: ``transformers`` refuses code of the repository
unless it is trusted, which this library never says, and reads old weights (``*.bin``) as plain tensors only.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path

from hf_select.errors import HfSelectError, ModelError

_PICKLES = ("*.bin", "*.pt", "*.pth")


@contextlib.contextmanager
def loading(what: str, name: object) -> Iterator[None]:
    """Load something by name inside, and say in words of this library why it cannot be loaded.

    Args:
        what: what is loaded, for example ``"model"``.
        name: Hub id or folder.

    Yields:
        None: nothing.

    Raises:
        ModelError: if it is not there, is torn, or could be loaded only by running code that came with it.
    """
    from safetensors import SafetensorError

    try:
        yield
    except HfSelectError:
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"The {what} {str(name)!r} is not loaded: its weights ({_pickles_of(name)}) are a pickle that holds more "
            f"than tensors, and unpickling it would run code. Take a checkpoint in safetensors, or save it again with "
            f"save_pretrained where you trust it."
        ) from error
    except SafetensorError as error:
        raise ModelError(
            f"The {what} {str(name)!r} cannot be loaded: its weights (*.safetensors) are torn ({_line(error)}). Get or "
            f"save it again."
        ) from error
    except (OSError, ValueError) as error:
        if "custom code" in str(error):
            raise ModelError(
                f"The {what} {str(name)!r} needs code that lies in its repository (auto_map), which this library never "
                f"runs. Take one of an architecture that transformers has, or load it yourself and give the object."
            ) from error
        raise ModelError(
            f"The {what} {str(name)!r} cannot be loaded: {_line(error)}. Give a Hub id that is in the cache or can be "
            f"reached, or the folder that save_pretrained wrote."
        ) from error


def _pickles_of(name: object) -> str:
    """The pickled weights of a folder; the names they usually have where it lies on the Hub."""
    folder = Path(str(name))
    found = sorted(path.name for form in _PICKLES for path in folder.glob(form)) if folder.is_dir() else []
    return ", ".join(found) or "pytorch_model.bin"


def _line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given").rstrip(".")[:200]
