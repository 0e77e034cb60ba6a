"""Fetching one file of one commit, with as little beside it as the server can leave away.

It is fetched into a repository of the moment's own: no history, and no other file where the server
can filter. Nothing is shared and nothing is kept, so whoever is killed here breaks nothing; what is
made of the file is stored elsewhere, and it is not needed twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from products.credentials import OpenedCredential
from products.git.access import open_access
from products.git.allowance import Allowance
from products.git.blobs import LARGEST_FILE, at, find_file, has_object, read_file
from products.git.commands import Access, GitFailedError, run_git
from products.git.commits import check_commit, init_arguments
from products.git.errors import CommitMissingError, FileTooLargeError
from products.git.failures import (
    failed,
    is_missing_commit,
    is_too_large,
    is_whole_or_nothing,
    refused_object,
)
from products.git.logins import shown
from products.git.upkeep import READ, remove_unused

# The name by which git knows the address, for as long as the command lasts.
_REMOTE = "source"
_FILTER = "blob:none"
#: The pack of one file of a size that is allowed, with all that git writes beside it.
_PACK_OF_ONE = 4 * LARGEST_FILE


class NotInPartsError(Exception):
    """The server hands out no lone commit or no lone file."""


def fetch_file(
    mirrors: Path,
    url: str,
    commit: str,
    path: str,
    *,
    credential: OpenedCredential | None,
    allowance: Allowance,
) -> bytes:
    """Return a file of a commit; ``mirrors`` is where there is room for a moment.

    Raises NotInPartsError, FileMissingError, FileTooLargeError, CommitMissingError, SourceUrlError,
    SourceCredentialError, SourceUnreachableError and RepositoryTooLargeError.
    """
    check_commit(commit, url)
    mirrors.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_unused(mirrors)
    with (
        tempfile.TemporaryDirectory(prefix=READ, dir=mirrors, ignore_cleanup_errors=True) as folder,
        open_access(url, credential, mirrors) as (address, access),
    ):
        repository = Path(folder)
        snapshot = _Snapshot(repository, _named(access, address), allowance)
        try:
            run_git(init_arguments(repository, commit))
            snapshot.fetch_commit(commit)
        except GitFailedError as error:
            if is_missing_commit(error):
                raise CommitMissingError(commit, shown(url)) from error
            if refused := refused_object(url, commit, error):
                raise refused from error
            raise _failed(url, error, allowance) from error
        where = f"of {shown(url)}"
        blob = find_file(repository, commit, path, where=where)
        try:
            snapshot.fetch_blob(blob)
        except GitFailedError as error:
            if is_too_large(error):
                raise FileTooLargeError(path, at(where, commit), LARGEST_FILE) from error
            if is_missing_commit(error):
                raise NotInPartsError from error
            raise _failed(url, error, allowance) from error
        return read_file(repository, commit, path, where=where)


def _named(access: Access, address: str) -> Access:
    """Return the access with a name for the address, which git filters for and writes nowhere."""
    settings = (
        f"remote.{_REMOTE}.url={address}",
        f"remote.{_REMOTE}.promisor=true",
        f"remote.{_REMOTE}.partialCloneFilter={_FILTER}",
        # What is here already says nothing of what is wanted next.
        "fetch.negotiationAlgorithm=noop",
    )
    return Access(access.protocol, (*access.settings, *settings), access.variables)


def _failed(url: str, error: GitFailedError, allowance: Allowance) -> Exception:
    return NotInPartsError() if is_whole_or_nothing(error) else failed(url, error, allowance)


class _Snapshot:
    """Fetches parts from one address; raises GitFailedError."""

    def __init__(self, repository: Path, access: Access, allowance: Allowance) -> None:
        self._repository = repository
        self._access = access
        self._allowance = allowance

    def fetch_commit(self, commit: str) -> None:
        """Fetch a commit with its folders, and with its files from a server that cannot filter."""
        what = f"+{commit}:refs/heads/snapshot"
        self._fetch(["--depth=1"], what, self._allowance.room_bytes)

    def fetch_blob(self, blob: str) -> None:
        """Fetch the content of a file unless it has come with its commit."""
        if not has_object(self._repository, blob):
            self._fetch([], blob, _PACK_OF_ONE)

    def _fetch(self, words: Sequence[str], what: str, file_bytes: int) -> None:
        quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        run_git(
            ["fetch", *quiet, *words, f"--filter={_FILTER}", "--end-of-options", _REMOTE, what],
            cwd=self._repository,
            access=self._access,
            timeout_s=self._allowance.left_s,
            file_bytes=file_bytes,
        )
