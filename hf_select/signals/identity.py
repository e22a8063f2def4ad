"""What a signal was computed from, as hashes of content: the same inputs have the same identity in every process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from hf_select.errors import ModelError
from hf_select.signals.plan import Segment

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

_VOLATILE = ("_name_or_path", "transformers_version", "use_cache")  # of a config: where it came from, not what it is
_LEFT_BY_CALLS = ("truncation", "padding")  # of a tokenizer: settings of its last call


def key_of(data: Any) -> str:
    """Hash of plain data, the same in every process.

    Args:
        data: what JSON can hold; anything else counts as its text.

    Returns:
        32 hexadecimal digits.
    """
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return str(xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass")))


def array_hash(array: NDArray[Any]) -> str:
    """Hash of an array: dtype, shape and values.

    Args:
        array: any array of numbers.

    Returns:
        32 hexadecimal digits.
    """
    digest = xxhash.xxh3_128(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return str(digest.hexdigest())


def require_whole(model: torch.nn.Module) -> None:
    """Refuse a model of which this process does not hold all weights.

    Args:
        model: any module.

    Raises:
        ModelError: if weights are spread over processes (FSDP, DeepSpeed ZeRO-3, tensor parallelism) or not loaded
            (meta device).
    """
    for name, tensor in model.named_parameters():
        shared = "_fsdp_wrapped_module" in name or any(hasattr(tensor, mark) for mark in ("full_tensor", "ds_id"))
        if shared or tensor.is_meta:
            raise ModelError(
                f"Weight {name!r} is not whole in this process (FSDP, DeepSpeed ZeRO-3, tensor parallelism or meta "
                f"device); a pass needs the whole model in each process. Load it plainly, or pass its path; in a "
                f"training, shard by FSDP2 (fsdp_version: 2), which the callbacks gather."
            )


def weights_hash(model: torch.nn.Module) -> str:
    """Hash of the weights and buffers as they are in memory.

    Buffers that a checkpoint leaves out count too: ``model.bfloat16()`` rounds the rotary frequencies, loading in
    bfloat16 does not.

    Args:
        model: any module.

    Returns:
        32 hexadecimal digits.
    """
    import torch

    require_whole(model)
    digest = xxhash.xxh3_128()
    tensors = dict(model.named_buffers()) | dict(model.named_parameters(remove_duplicate=False))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().reshape(-1).contiguous().view(torch.uint8)
        digest.update(flat.to("cpu", copy=True).numpy().data)  # numpy() pins memory, and FSDP frees the tensor's own
    return str(digest.hexdigest())


def model_identity(model: torch.nn.Module) -> dict[str, Any]:
    """What decides the outputs of a model: weights, configuration, active adapters, dtype and kind of device.

    Its name and revision are not part of it: they say where the weights came from, and the weights are hashed.

    Args:
        model: the model, bare or wrapped (DDP).

    Returns:
        Plain data.
    """
    from accelerate.utils import extract_model_from_parallel

    bare = extract_model_from_parallel(model, keep_torch_compile=False)
    config = bare.config.to_dict() if hasattr(bare, "config") else {}
    config = {name: value for name, value in config.items() if name not in _VOLATILE}
    parameter = next(bare.parameters())
    return {
        "class": type(bare).__name__,
        "weights": weights_hash(bare),
        "config": key_of(config),
        "adapters": _adapters(bare),
        "dtype": str(parameter.dtype),
        "device": parameter.device.type,
    }


def _adapters(model: torch.nn.Module) -> str | None:
    """Which adapters are on and how strong; ``None`` for a model without adapter layers (PEFT)."""
    found = [
        (name, str(layer.active_adapters), layer.disable_adapters, str(getattr(layer, "scaling", None)))
        for name, layer in model.named_modules()
        if hasattr(layer, "disable_adapters") and hasattr(layer, "active_adapters") and hasattr(layer, "get_base_layer")
    ]
    return key_of(found) if found else None


def model_origin(model: torch.nn.Module) -> dict[str, str | None]:
    """Where a model came from, for people: its name or path and its revision on the Hub.

    Args:
        model: the model.

    Returns:
        ``name_or_path`` and ``revision``, ``None`` where unknown.
    """
    config = getattr(getattr(model, "module", model), "config", None)
    name, revision = getattr(config, "_name_or_path", None), getattr(config, "_commit_hash", None)
    return {"name_or_path": name or None, "revision": revision or None}


def embedder_identity(embedder: Any) -> dict[str, Any]:
    """What decides the vectors of a sentence-transformers model.

    Args:
        embedder: the model.

    Returns:
        Plain data.
    """
    parts = [
        (type(part).__name__, part.get_config_dict() if hasattr(part, "get_config_dict") else None)
        for part in embedder.children()
    ]
    tokenizer: Any = getattr(embedder, "tokenizer", None)
    return {
        "weights": weights_hash(embedder),
        "parts": key_of(parts),
        "prompt": [getattr(embedder, "default_prompt_name", None), getattr(embedder, "prompts", None)],
        "max_seq_length": embedder.max_seq_length,
        "tokenizer": tokenizer_hash(tokenizer) if hasattr(tokenizer, "special_tokens_map") else None,
    }


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of everything a tokenizer consists of: its pipeline or vocabulary, special tokens and chat template.

    Args:
        tokenizer: the tokenizer.

    Returns:
        32 hexadecimal digits.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    serialised: Any = sorted(tokenizer.get_vocab().items())
    if backend is not None:
        pipeline = json.loads(backend.to_str())
        serialised = {name: part for name, part in pipeline.items() if name not in _LEFT_BY_CALLS}
    parts = [
        type(tokenizer).__name__,
        serialised,
        tokenizer.special_tokens_map,
        tokenizer.chat_template,
        {name: getattr(tokenizer, name, None) for name in ("add_bos_token", "add_eos_token", "add_prefix_space")},
    ]
    return key_of(parts)


def segments_hash(segments: Sequence[Segment]) -> str:
    """Hash of the token ids that a pass reads, row by row.

    Args:
        segments: one per row.

    Returns:
        32 hexadecimal digits.
    """
    digest = xxhash.xxh3_128()
    for context, target in segments:
        digest.update(np.asarray([len(context), len(target)], dtype=np.int64).data)
        digest.update(np.ascontiguousarray(context, dtype=np.int32).tobytes())
        digest.update(np.ascontiguousarray(target, dtype=np.int32).tobytes())
    return str(digest.hexdigest())


def texts_hash(texts: Iterable[str]) -> str:
    """Hash of texts in order.

    Args:
        texts: the texts.

    Returns:
        32 hexadecimal digits.
    """
    digest = xxhash.xxh3_128()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return str(digest.hexdigest())
