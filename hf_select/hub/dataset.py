"""A selection as a configuration of a dataset repository."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi
from huggingface_hub.errors import DisabledRepoError, RepositoryNotFoundError

from hf_select.errors import ConfigError
from hf_select.files import scratch_folder
from hf_select.hub.account import signed_in
from hf_select.hub.card import CARD_FILE, merge_card, metadata_of
from hf_select.hub.content import What, captions, configs_of, outdated, rows_of, write_content
from hf_select.hub.name import SCORES_SUFFIX, check_config_name, check_repo_id
from hf_select.hub.push import Draft, Push, deliver
from hf_select.hub.repository import Repository
from hf_select.hub.request import asking
from hf_select.hub.secret import check_rows as check_rows_for_secrets
from hf_select.hub.secret import check_schema, check_text, own_secrets
from hf_select.report.card_dataset import dataset_metadata, dataset_section
from hf_select.report.card_part import repo_ids
from hf_select.report.markup import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datasets import Dataset

    from hf_select.selection import Selection

logger = logging.getLogger("hf_select")

_DATA_SUFFIXES = (".parquet", ".csv", ".tsv", ".json", ".jsonl", ".arrow", ".txt", ".zip", ".gz", ".tar", ".zst")
_NO_DATA = re.compile(r"\.|licen[sc]e|notice|readme", re.IGNORECASE)


def push_selection(
    selection: Selection,
    repo_id: str,
    dataset: Dataset,
    config_name: str,
    *,
    what: What = "subset",
    source_dataset: str | None = None,
    license: str | None = None,  # noqa: A002 (the name of the field on the Hub)
    private: bool | None = None,
    plots: str | os.PathLike[str] | None = None,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    check_rows: bool = True,
    dry_run: bool = False,
) -> Push:
    """Push a selection as one configuration of a dataset repository, beside whatever is there.

    Everything is checked before anything is uploaded, and goes there in one commit. The same push again changes
    nothing.

    Args:
        selection: the selection.
        repo_id: ``"owner/name"``; made if it is not there.
        dataset: the dataset that was selected from.
        config_name: name of the configuration: ``load_dataset(repo_id, config_name)``.
        what: ``"subset"``: the picked rows in selection order; ``"scored"``: all rows with ``score`` and ``selected``.
        source_dataset: Hub id of the dataset; by default what the dataset itself tells.
        license: licence id of the Hub; by default that of the source.
        private: whether a new repository is private, and refuse one that is public; ``None`` for the owner's default.
        plots: folder of pictures to push too.
        token: of the Hub; by default ``HF_TOKEN`` or that of ``hf auth login``.
        revision: branch; it must be there.
        commit_message: first line of the commit.
        check_rows: look for secrets in the rows too.
        dry_run: check everything and say what would be uploaded; nothing is changed on the Hub.

    Returns:
        What was pushed.

    Raises:
        ConfigError: if a name, the repository or its card cannot be used.
        HubError: if the Hub refuses or cannot be reached.
        SecretError: if something that is to be published looks like a secret.
        StaleStateError: if the dataset is not the one that was selected from.
    """
    check_repo_id(repo_id, "dataset")
    check_config_name(config_name)
    rows = rows_of(selection, dataset, what)
    source = source_dataset or _source_of(dataset)
    secrets = own_secrets(token)
    check_schema(rows, secrets)
    if check_rows:
        check_rows_for_secrets(rows, secrets)
    api, full_id = signed_in(token, repo_id, must_write=not dry_run)
    repository = Repository.find(api, full_id, "dataset", revision, private)
    with scratch_folder("push") as folder:
        files = write_content(folder, config_name, selection, rows, Path(plots) if plots else None, secrets)
        part = _Part(
            selection, config_name, what, len(rows), source, license or _license_of(api, source), files, secrets
        )
        draft = Draft(
            files,
            folder,
            part.merged,
            lambda there: outdated(config_name, there, files),
            commit_message or f"Add the selection {config_name}",
        )
        return deliver(draft, repository, private=private, dry_run=dry_run)


@dataclass(frozen=True)
class _Part:
    """What a selection adds to the card of its repository."""

    selection: Selection
    config_name: str
    what: What
    n_rows: int
    source: str | None
    license: str | None
    files: Mapping[str, Path]
    secrets: Mapping[str, str]

    def merged(self, card: str | None, repository: Repository) -> str:
        """The card with this part in it."""
        there = metadata_of(card)
        _check_unnamed_data(there, repository)
        source = _told_source(self.source)
        metadata = dataset_metadata(
            self.selection, n_rows=self.n_rows, source_dataset=self.source or "", license=self.license
        )
        old_license = there.get("license")
        if self.license and old_license and old_license != self.license:
            logger.warning("The card keeps its license %r; %r was given.", old_license, self.license)
        metadata["configs"] = configs_of(self.config_name, there.get("configs"))
        section = dataset_section(
            self.selection,
            title=self.config_name,
            source_dataset=source,
            usage=self._usage(repository.repo_id),
            contents=self._contents(),
            pictures=captions(self.files),
        )
        heading = (
            f"# {escape(repository.repo_id.partition('/')[2])}\n\nRows selected by hf_select. Each selection is a "
        )
        heading += "configuration of its own."
        text = merge_card(card, metadata, section, name=self.config_name, heading=heading)
        check_text(CARD_FILE, section, self.secrets)
        check_text(CARD_FILE, repr(metadata), self.secrets)
        return text

    def _usage(self, repo_id: str) -> str:
        return (
            "from datasets import load_dataset\n\n"
            f'rows = load_dataset("{repo_id}", "{self.config_name}", split="train")\n'
            f'scores = load_dataset("{repo_id}", "{self.config_name}{SCORES_SUFFIX}", split="train")'
        )

    def _contents(self) -> list[str]:
        rows = (
            "the picked rows, best first, as they are in the source"
            if self.what == "subset"
            else "all rows of the source with score (empty where a row was not picked) and selected (true or false)"
        )
        return [
            f"{self.config_name}: {rows}",
            f"{self.config_name}{SCORES_SUFFIX}: row id in the source and score of every pick, best first",
            f"selections/{self.config_name}/selection.json: how the picks were made",
        ]


def _check_unnamed_data(there: Mapping[str, Any], repository: Repository) -> None:
    """Refuse a repository whose data is found by its file names alone, which naming configurations would end."""
    data = [path for path in repository.files if path.endswith(_DATA_SUFFIXES) and not _NO_DATA.match(path)]
    if data and not there.get("configs"):
        raise ConfigError(
            f"{repository.place} holds data ({data[0]!r}) that its card does not name under 'configs'; a configuration "
            f"of ours would hide it from load_dataset. Name it in the card first ('configs' with config_name and "
            f"data_files), or give another repo_id."
        )


def _source_of(dataset: Dataset) -> str | None:
    """The Hub id a dataset was loaded from, as ``datasets`` recorded it."""
    for address in dataset.info.download_checksums or {}:
        place, _, path = str(address).partition("://")
        if place == "hf" and path.startswith("datasets/"):
            return path.removeprefix("datasets/").partition("@")[0]
    return None


def _told_source(source: str | None) -> str:
    """The source in the prose: a Hub id whole, of a file its name alone."""
    if not source:
        return "a dataset that is not on the Hub"
    return source if repo_ids(source) else Path(source).name


def _license_of(api: HfApi, source: str | None) -> str | None:
    """The licence of the source, which its subset carries."""
    if not source or not repo_ids(source):
        return None
    with asking("read the licence of", source):
        try:
            info = api.dataset_info(source)
        except (RepositoryNotFoundError, DisabledRepoError):
            logger.warning(
                "The card tells no licence: the Hub shows no dataset %r to this token. Give license= (--license) if "
                "you know it.", source,
            )  # fmt: skip
            return None
    found = info.card_data.get("license") if info.card_data else None
    return str(found[0] if isinstance(found, list) and found else found) if found else None
