"""Finished shards on disk: a killed run continues, and a changed input never finds an old signal.

    <cache_dir>/<key>/shard-00003-of-00012.safetensors    arrays and their checksum, whole or absent
    <cache_dir>/<key>/manifest.json                       what the key was made of; written last

The key is a hash of everything the values depend on, so nothing has to be invalidated: another input is another
folder. A shard carries its own checksum; one that is torn or altered is computed again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save_file

from hf_select.errors import ConfigError, DiskSpaceError, NotWritableError
from hf_select.files import json_text, replace_file, write_json
from hf_select.signals.identity import array_hash, key_of

logger = logging.getLogger("hf_select")

Arrays = dict[str, NDArray[Any]]
CacheDir = str | Path | Literal[False] | None


@dataclass(frozen=True)
class Store:
    """The shards of one pass over one dataset.

    Attributes:
        folder: where they lie.
        identity: what the values depend on, as plain data.
    """

    folder: Path
    identity: Mapping[str, Any]

    def read(self, shard: int, n_shards: int) -> Arrays | None:
        """One shard, or ``None`` if it is not there or does not match its checksum.

        Args:
            shard: its number, from 0.
            n_shards: how many there are.

        Returns:
            Its arrays.
        """
        path = self._path(shard, n_shards)
        if not path.is_file():
            return None
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                checksum = (file.metadata() or {}).get("xxh3")
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (safetensors.SafetensorError, OSError, ValueError) as reason:
            logger.warning("%s is torn (%s); computing it again.", path, reason)
            return None
        if checksum != self._checksum(arrays):
            logger.warning("%s does not match its checksum; computing it again.", path)
            return None
        return arrays

    def write(self, shard: int, n_shards: int, arrays: Arrays) -> None:
        """Write one shard, whole or not at all.

        Args:
            shard: its number, from 0.
            n_shards: how many there are.
            arrays: its arrays.

        Raises:
            ConfigError: if the folder cannot be made, or the file not be written.
            DiskSpaceError: if the disk is full.
            NotWritableError: if the folder may not be written.
        """
        path = self._path(shard, n_shards)
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        metadata = {"xxh3": self._checksum(whole)}
        n_bytes = sum(array.nbytes for array in whole.values())
        try:
            replace_file(path, lambda temporary: save_file(whole, temporary, metadata=metadata), n_bytes=n_bytes)
        except DiskSpaceError as reason:
            raise DiskSpaceError(f"{reason} cache_dir=False stores nothing. Finished shards are kept.") from reason
        except NotWritableError as reason:
            raise NotWritableError(f"{reason} That is cache_dir; cache_dir=False stores nothing.") from reason
        except (OSError, safetensors.SafetensorError) as reason:
            raise ConfigError(
                f"Cannot write to {path.parent} ({reason}). Give another cache_dir, or cache_dir=False for no store."
            ) from reason

    def finish(self, n_shards: int) -> None:
        """Write the manifest: all shards are there. One that says so already stays, so that nothing need be writable.

        Args:
            n_shards: how many there are.
        """
        path = self.folder / "manifest.json"
        names = [self._path(shard, n_shards).name for shard in range(n_shards)]
        manifest = {"identity": dict(self.identity), "shards": names}
        if not path.is_file() or path.read_bytes() != json_text(manifest).encode("utf-8"):
            write_json(path, manifest)

    def _checksum(self, arrays: Arrays) -> str:
        """Of the values and of what they depend on: a shard that was moved here from another store is none of ours."""
        return key_of([self.identity, {name: array_hash(array) for name, array in arrays.items()}])

    def _path(self, shard: int, n_shards: int) -> Path:
        return self.folder / f"shard-{shard:05d}-of-{n_shards:05d}.safetensors"


def open_store(cache_dir: CacheDir, identity: Mapping[str, Any]) -> Store | None:
    """The store of one pass.

    Args:
        cache_dir: a folder; ``None`` for ``HF_HOME/hf_select/signals``, ``False`` for no store.
        identity: everything the values depend on, as plain data.

    Returns:
        The store, or ``None`` for none.
    """
    if cache_dir is False:
        return None
    return Store(_root(cache_dir) / key_of(identity), identity)


def _root(cache_dir: str | Path | None) -> Path:
    if cache_dir is not None:
        return Path(cache_dir)
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hf_select" / "signals"
