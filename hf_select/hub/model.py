"""A trained model as a repository: weights, tokenizer, card and evaluation results, and nothing else of its folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from hf_select.errors import ConfigError
from hf_select.files import scratch_folder
from hf_select.hub.account import signed_in
from hf_select.hub.card import CARD_FILE, merge_card, split_card
from hf_select.hub.name import check_repo_id
from hf_select.hub.push import Draft, Push, deliver
from hf_select.hub.repository import Repository
from hf_select.hub.secret import check_file, check_text, own_secrets

_WEIGHTS = r"(?:model|adapter_model)(?:-\d{5}-of-\d{5})?\.safetensors"
_SETTINGS = r"(?:config|generation_config|adapter_config|tokenizer_config|special_tokens_map|added_tokens)\.json"
_VOCABULARY = r"tokenizer\.json|vocab\.(?:json|txt)|merges\.txt|(?:tokenizer|spiece|sentencepiece\.bpe)\.model"
_OTHERS = r"model\.safetensors\.index\.json|chat_template\.jinja|\.eval_results/[A-Za-z0-9_-]+\.yaml"
_ALLOWED = re.compile("|".join((_WEIGHTS, _SETTINGS, _VOCABULARY, _OTHERS)))
_READ = re.compile("|".join((_SETTINGS, _OTHERS)))


def push_model(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    dry_run: bool = False,
) -> Push:
    """Push a trained model with its card, in one commit; the same push again changes nothing.

    Args:
        folder: what ``save_pretrained`` wrote, with the card (``README.md``) and ``.eval_results`` beside it.
        repo_id: ``"owner/name"``; made if it is not there.
        private: whether a new repository is private, and refuse one that is public; ``None`` for the owner's default.
        token: of the Hub; by default ``HF_TOKEN`` or that of ``hf auth login``.
        revision: branch; it must be there.
        commit_message: first line of the commit.
        dry_run: check everything and say what would be uploaded; nothing is changed on the Hub.

    Returns:
        What was pushed.

    Raises:
        ConfigError: if the name, the folder, the repository or its card cannot be used.
        HubError: if the Hub refuses or cannot be reached.
        SecretError: if something that is to be published looks like a secret.
    """
    check_repo_id(repo_id, "model")
    source = Path(folder)
    files = model_files(source)
    secrets = own_secrets(token)
    card = (source / CARD_FILE).read_text(encoding="utf-8")
    for name, local in {**files, CARD_FILE: source / CARD_FILE}.items():
        if name == CARD_FILE or _READ.fullmatch(name):
            check_text(name, local.read_text(encoding="utf-8"), secrets)
        else:
            check_file(name, local, secrets)
    metadata, section = split_card(card)
    api, full_id = signed_in(token, repo_id, must_write=not dry_run)
    repository = Repository.find(api, full_id, "model", revision, private)
    with scratch_folder("push") as place:
        draft = Draft(
            files,
            place,
            lambda there, _: merge_card(there, metadata, section, name="model"),
            lambda there: _outdated(there, files),
            commit_message or "Add the model and its card",
        )
        return deliver(draft, repository, private=private, dry_run=dry_run)


def model_files(folder: Path) -> dict[str, Path]:
    """The files of a model's folder that may be published.

    Args:
        folder: the folder.

    Returns:
        The files by path in the repository; checkpoints, optimiser states, logs and pickles are not among them.

    Raises:
        ConfigError: if it holds no weights in safetensors, no card, or a link in place of a file.
    """
    named = {path.relative_to(folder).as_posix(): path for path in sorted((*folder.glob("*"), *folder.glob(".*/*")))}
    files = {name: path for name, path in named.items() if _ALLOWED.fullmatch(name) and path.is_file()}
    if not any(name.endswith(".safetensors") for name in files) or not (folder / CARD_FILE).is_file():
        raise ConfigError(
            f"{folder} holds no model that can be pushed: it needs weights (*.safetensors, by save_pretrained) and a "
            f"card ({CARD_FILE})."
        )
    if links := [name for name, path in named.items() if name in (*files, CARD_FILE) and path.is_symlink()]:
        raise ConfigError(f"{folder}: {links[0]} is a link; put the file itself there, or push from another folder.")
    return files


def _outdated(there: Mapping[str, str], files: Mapping[str, Path]) -> list[str]:
    """Weights of an earlier push that this one has no more: other shards would be loaded in their place."""
    weights = re.compile(rf"{_WEIGHTS}|model\.safetensors\.index\.json")
    return sorted(name for name in there if weights.fullmatch(name) and name not in files)
