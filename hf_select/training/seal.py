"""What a checkpoint keeps of a callback, with a hash, so that a changed byte is noticed and not trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hf_select.errors import CorruptStateError, StaleStateError

SEAL = "sha256"
_ADVICE = "Resume from an older checkpoint (last_whole_checkpoint(output_dir) names it), or start anew."


def sealed(name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data with its hash beside it.

    Args:
        name: of the class of the callback, under which the ``Trainer`` keeps it.
        attributes: what JSON can hold, by name.

    Returns:
        The same, the name as ``callback``, and the SHA-256 of all of it under ``sha256``.
    """
    named = {"callback": name, **attributes}
    return {**named, SEAL: _digest(named)}


def is_sealed(saved: Any) -> bool:
    """Whether what a checkpoint keeps of a callback was sealed.

    Args:
        saved: an entry of ``stateful_callbacks``.

    Returns:
        True if there is a hash in it; whether it is the right one, ``unsealed`` says.
    """
    return isinstance(saved, Mapping) and isinstance(kept := saved.get("attributes"), Mapping) and SEAL in kept


def unsealed(name: str, saved: Any, place: str, step: int | None = None) -> dict[str, Any]:
    """The data that ``sealed`` was given, if it is still what it was.

    Args:
        name: of the class of the callback.
        saved: the entry of that name in ``stateful_callbacks``.
        place: the file it was read from, for the message.
        step: the step that the data must be of; ``None`` for any.

    Returns:
        The data.

    Raises:
        CorruptStateError: if its hash is missing or another, or it is of another step or callback.
    """
    kept = saved.get("attributes") if isinstance(saved, Mapping) else None
    attributes = dict(kept) if isinstance(kept, Mapping) else {}
    stored = attributes.pop(SEAL, None)
    if stored != _digest(attributes):
        raise CorruptStateError(f"{place}: the selection in it does not match its {SEAL}. {_ADVICE}")
    of, at = attributes.get("callback"), attributes.get("step")
    if of != name or step not in (None, at):
        raise CorruptStateError(
            f"{place}: the selection in it belongs to a {of} at step {at} and stands as that of a {name} at step "
            f"{at if step is None else step}. {_ADVICE}"
        )
    return attributes


def kept_of(
    name: str, saves: Mapping[str, Any], place: str, step: int, settings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What a checkpoint holds of a callback that goes on with the same settings.

    Args:
        name: of the class of the callback.
        saves: ``stateful_callbacks`` of the checkpoint.
        place: the file they were read from, for the message.
        step: the step of the checkpoint.
        settings: values that must be among what it holds.

    Returns:
        The data; ``None`` if there is none.

    Raises:
        StaleStateError: if it is that of another class, or was made with other settings.
    """
    saved = next((saved for saved in saves if is_sealed(saves[saved])), None)
    if saved is None and name not in saves:
        return None
    kept = unsealed(saved or name, saves[saved or name], place, step)
    if saved != name:
        raise StaleStateError(f"The checkpoint holds the selection of a {saved}, not of a {name}; use the same class.")
    for setting, value in settings.items():
        if kept[setting] != value:
            raise StaleStateError(
                f"The checkpoint was made with {setting}={kept[setting]!r} and this callback has {value!r}: the "
                f"resumed run would not be the one that was cut off. Use the same, or start anew."
            )
    return kept


def _digest(attributes: Mapping[str, Any]) -> str:
    text = json.dumps(attributes, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
