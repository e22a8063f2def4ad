"""A repository on the Hub: found and checked before anything is uploaded, read, and committed to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from hf_select.crash_point import crash_point
from hf_select.errors import ConfigError, HubError
from hf_select.hub.request import asking

if TYPE_CHECKING:
    from collections.abc import Iterable

RepoType = Literal["dataset", "model"]
_OTHERS = {"dataset": "model", "model": "dataset"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Repository:
    """A repository as it was when it was looked at.

    Attributes:
        api: the client, with its token.
        repo_id: ``"owner/name"``.
        repo_type: ``"dataset"`` or ``"model"``.
        revision: the branch.
        head: the branch's last commit; ``None`` where the repository is still to be made.
        files: sha256 of each file in LFS, git's hash of each other file, by path.
        is_private: whether it is; ``None`` where it is still to be made.
    """

    api: HfApi = field(repr=False)
    repo_id: str
    repo_type: RepoType
    revision: str
    head: str | None = None
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_private: bool | None = None

    @property
    def place(self) -> str:
        """The repository in words."""
        branch = "" if self.revision == "main" else f", branch {self.revision!r}"
        return f"{self.repo_type} {self.repo_id!r}{branch}"

    @property
    def url(self) -> str:
        """Its page."""
        return f"{self.api.endpoint}/{'datasets/' if self.repo_type == 'dataset' else ''}{self.repo_id}"

    @classmethod
    def find(
        cls, api: HfApi, repo_id: str, repo_type: RepoType, revision: str | None, private: bool | None
    ) -> Repository:
        """Look at a repository, which need not be there.

        Args:
            api: the client, with its token.
            repo_id: ``"owner/name"``.
            repo_type: what kind it is to be.
            revision: the branch; ``None`` for ``main``.
            private: whether it is to be private; ``None`` for the owner's default.

        Returns:
            The repository.

        Raises:
            ConfigError: if it is of another kind, or public where ``private`` was asked for.
        """
        wanted = cls(api, repo_id, repo_type, revision or "main")
        found = wanted._look()
        if found is None:
            wanted._check_free()
            return wanted
        if private and not found.is_private:
            raise ConfigError(
                f"{found.place} is public, and private=True was asked for; nothing was uploaded. Make it private in "
                f"its settings ({found.url}/settings), or give another repo_id."
            )
        return found

    def read(self, path: str) -> str | None:
        """A text file at the head.

        Args:
            path: in the repository.

        Returns:
            Its text, line endings kept; ``None`` where there is none.

        Raises:
            ConfigError: if it is not UTF-8.
        """
        if path not in self.files:
            return None
        with asking("read", self.place):
            local = self.api.hf_hub_download(self.repo_id, path, repo_type=self.repo_type, revision=self.head)
        try:
            return Path(local).read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} of {self.place} is not UTF-8. Repair it there, then push again.") from error

    def made(self, private: bool | None) -> Repository:
        """The repository, made if it is not there.

        Args:
            private: whether a new one is private; ``None`` for the owner's default.

        Returns:
            The repository as it is now.

        Raises:
            HubError: if it cannot be made.
        """
        if self.head is not None:
            return self
        with asking("make", self.place):
            self.api.create_repo(self.repo_id, repo_type=self.repo_type, private=private, exist_ok=True)
        found = self._look()
        if found is None:
            raise HubError(f"{self.place} was made, but the Hub does not show it yet; push again.")
        return found

    def commit(self, files: Mapping[str, Path], deleted: Sequence[str], message: str) -> str:
        """Commit files, all or none.

        Args:
            files: local files by path in the repository.
            deleted: paths that go.
            message: its first line.

        Returns:
            The commit's id.
        """
        operations: list[Any] = [
            *(CommitOperationAdd(path, str(local)) for path, local in sorted(files.items())),
            *(CommitOperationDelete(path) for path in sorted(deleted)),
        ]
        crash_point("hub.due")
        with asking("commit to", self.place):
            made = self.api.create_commit(
                self.repo_id,
                operations,
                commit_message=message,
                repo_type=self.repo_type,
                revision=self.revision,
                parent_commit=self.head,
            )
        crash_point("hub.committed")
        return str(made.oid)

    def looked_at_again(self) -> Repository:
        """The repository as it is now.

        Returns:
            The repository.

        Raises:
            HubError: if it is gone.
        """
        found = self._look()
        if found is None:
            raise HubError(f"{self.place} was there a moment ago and is gone.")
        return found

    def _look(self) -> Repository | None:
        with asking("read", self.place):
            try:
                info: Any = self.api.repo_info(self.repo_id, repo_type=self.repo_type)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None
            info = self.api.repo_info(self.repo_id, repo_type=self.repo_type, revision=self.revision)
            entries: Iterable[Any] = self.api.list_repo_tree(
                self.repo_id, recursive=True, revision=info.sha, repo_type=self.repo_type
            )
            try:
                files = {entry.path: _remote_hash(entry) for entry in entries if isinstance(entry, RepoFile)}
            except EntryNotFoundError:  # a repository without any file
                files = {}
        return Repository(self.api, self.repo_id, self.repo_type, self.revision, info.sha, files, bool(info.private))

    def _check_free(self) -> None:
        """Refuse a name under which a repository of the other kind lies: it is more often a slip than meant."""
        other = _OTHERS[self.repo_type]
        with asking("read", self.place):
            try:
                self.api.repo_info(self.repo_id, repo_type=other)
            except RepositoryNotFoundError:
                return
        raise ConfigError(
            f"{self.repo_id!r} is a {other} on the Hub, and a {self.repo_type} is to be pushed. Give another repo_id; "
            f"or, if both are to have this name, make it first: hf repos create {self.repo_id} --type {self.repo_type}"
        )


def is_same(local: Path, remote: str | None) -> bool:
    """Whether a local file is what lies on the Hub.

    Args:
        local: the file.
        remote: its hash on the Hub; ``None`` where it is not there.

    Returns:
        Whether it is.
    """
    if remote is None:
        return False
    digest = hashlib.sha256() if len(remote) == 64 else hashlib.sha1(b"blob %d\0" % local.stat().st_size)
    with local.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == remote


def _remote_hash(entry: Any) -> str:
    return str(entry.lfs.sha256 if entry.lfs else entry.blob_id)
