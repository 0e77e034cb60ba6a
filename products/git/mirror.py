"""Bare mirrors of repositories on this machine, from which commits are read and checked out.

One mirror for each address and credential: who may not read a repository finds nothing of it
here. Fetches into one mirror wait for one another; a commit that was fetched whole is marked by a
ref of its own and is there at once the next time. Marks that nobody asked for in a month are let
go of when a mirror is tidied, and so are mirrors. Nothing here touches the database.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from products.credentials import OpenedCredential
from products.git.access import open_access
from products.git.allowance import Allowance
from products.git.blobs import has_object
from products.git.commands import Access, GitFailedError, run_git
from products.git.commits import check_commit, init_arguments
from products.git.errors import (
    CommitMissingError,
    ShallowRepositoryError,
    SourceUnreachableError,
)
from products.git.failures import (
    failed,
    is_damage,
    is_missing_commit,
    is_not_advertised,
    is_too_large,
    refused_object,
)
from products.git.logins import shown
from products.git.mirror_lock import alone_with
from products.git.tags import has_list, has_tag, write_list
from products.git.upkeep import (
    MARKS,
    NEW,
    OF_EVERYTHING,
    make_room,
    remove_leftovers,
    remove_unused,
    size_of,
    tidy,
)
from products.git.urls import fetch_url

logger = logging.getLogger(__name__)

_HEADS, _TAGS = OF_EVERYTHING
_EVERYTHING = (f"+refs/heads/*:{_HEADS}/*", f"+refs/tags/*:{_TAGS}/*")


def ensure_commit(
    mirrors: Path,
    url: str,
    commit: str,
    *,
    credential: OpenedCredential | None = None,
    allowance: Allowance | None = None,
    tag: str = "",
) -> Path:
    """Return the bare mirror below ``mirrors`` that has the commit, fetched unless it is there.

    The tags of the commit's history come along, and ``tag`` if the repository still has it at the
    commit.

    Everything inside the mirror may be read by whoever may enter its folder, which is its owner
    alone unless somebody widens it. Raises CommitMissingError, SourceUrlError,
    SourceCredentialError, SourceUnreachableError, ShallowRepositoryError and
    RepositoryTooLargeError.
    """
    check_commit(commit, url)
    allowance = allowance or Allowance()
    mirrors.mkdir(mode=0o700, parents=True, exist_ok=True)
    mirror = mirrors / f"{_name(url, credential)}.git"
    if _has(mirror, commit) and (not tag or has_tag(mirror, tag, commit)):
        return mirror
    remove_unused(mirrors)
    with _alone(mirror, url, allowance) as lock:
        missing = not _has(mirror, commit)
        if missing or (tag and not has_tag(mirror, tag, commit)):
            with open_access(url, credential, mirrors) as (address, access):
                fetch = _Fetch(mirror, address, access, allowance, lock)
                if missing:
                    _fetch(fetch, commit, url)
                if tag and not has_tag(mirror, tag, commit):
                    fetch.tag(tag, commit)
            tidy(mirror, timeout_s=allowance.seconds)
    return mirror


def find_commit(
    mirrors: Path, url: str, commit: str, *, credential: OpenedCredential | None = None
) -> Path | None:
    """Return the mirror below ``mirrors`` if it has the commit already."""
    check_commit(commit, url)
    mirror = mirrors / f"{_name(url, credential)}.git"
    return mirror if _has(mirror, commit) else None


def is_ancestor(mirror: Path, commit: str, descendant: str) -> bool:
    """Return whether ``descendant`` is the commit or came after it; both are in the mirror."""
    try:
        run_git(["merge-base", "--is-ancestor", commit, descendant], cwd=mirror)
    except GitFailedError:
        return False
    return True


def is_in_a_branch_or_tag(
    mirror: Path,
    url: str,
    commit: str,
    *,
    credential: OpenedCredential | None = None,
    allowance: Allowance | None = None,
) -> bool:
    """Return whether a branch or tag of the repository holds the commit, which is in its mirror.

    One that none holds may be anybody's: hosts hand out commits of forks as the repository's own.
    Raises SourceUrlError, SourceCredentialError, SourceUnreachableError and
    RepositoryTooLargeError.
    """
    allowance = allowance or Allowance()
    held = ["for-each-ref", "--count=1", "--format=held", f"--contains={commit}"]
    with (
        _alone(mirror, url, allowance) as lock,
        open_access(url, credential, mirror.parent) as (address, access),
    ):
        try:
            _Fetch(mirror, address, access, allowance, lock).everything()
            return bool(run_git([*held, *OF_EVERYTHING], cwd=mirror).strip())
        except GitFailedError as error:
            raise failed(url, error, allowance) from error


def _name(url: str, credential: OpenedCredential | None) -> str:
    allowed = f"{credential.kind} {credential.name}" if credential is not None else ""
    return hashlib.sha256(f"{fetch_url(url)}\0{allowed}".encode()).hexdigest()[:40]


def _has(mirror: Path, commit: str) -> bool:
    """Return whether the commit was fetched with everything that it needs; note that it is used."""
    try:
        os.utime(mirror / MARKS / commit)
    except OSError:
        return False
    return has_list(mirror, commit)


@contextmanager
def _alone(mirror: Path, url: str, allowance: Allowance) -> Iterator[int]:
    with alone_with(mirror, patience_s=allowance.left_s) as lock:
        if lock is None:
            raise SourceUnreachableError(
                shown(url), "another fetch of it on this machine has not ended. Try again later."
            )
        yield lock


def _fetch(fetch: _Fetch, commit: str, url: str) -> None:
    """Fetch the commit, once more after removing what is in its way."""
    try:
        try:
            fetch.commit(commit, url)
        except GitFailedError as error:
            if not fetch.is_mended(error):
                raise
            fetch.commit(commit, url)
    except GitFailedError as error:
        refused = refused_object(url, commit, error)
        raise refused or failed(url, error, fetch.allowance) from error


class _Fetch:
    """Fetches from one address into one mirror, by who holds its lock; raises GitFailedError."""

    def __init__(
        self, mirror: Path, address: str, access: Access, allowance: Allowance, lock: int
    ) -> None:
        self.allowance = allowance
        self._mirror = mirror
        self._address = address
        self._access = access
        self._lock = lock

    def commit(self, commit: str, url: str) -> None:
        """Fetch the commit and mark it."""
        if not self._mirror.exists():
            _make(self._mirror, commit)
        is_answered = False
        try:
            self._run(f"+{commit}:{MARKS}/{commit}", tags=())
            is_answered = True
        except GitFailedError as error:
            if not (is_missing_commit(error) or is_not_advertised(error)):
                raise
            if is_not_advertised(error):
                self._among_everything(commit)
        if has_object(self._mirror, f"{MARKS}/{commit}"):
            write_list(self._mirror, commit)
        if not _has(self._mirror, commit):
            # Git stores nothing of a repository without whole history, and does not fail.
            raise (
                ShallowRepositoryError(shown(url))
                if is_answered
                else CommitMissingError(commit, shown(url))
            )

    def tag(self, tag: str, commit: str) -> None:
        """Fetch a tag anew, which may have been moved; one that is gone is left out."""
        try:
            self._run(f"+refs/tags/{tag}:refs/tags/{tag}")
            write_list(self._mirror, commit)
        except GitFailedError as error:
            logger.info("The tag %s of %s was not fetched: %s", tag, commit, error)

    def everything(self) -> None:
        """Fetch all branches and tags."""
        self._run(*_EVERYTHING)

    def is_mended(self, error: GitFailedError) -> bool:
        """Return whether something that was in the way is there no more."""
        if is_too_large(error):
            return make_room(self._mirror, timeout_s=self.allowance.seconds)
        if is_damage(error):
            # Whatever broke it, nothing that matters is only here.
            shutil.rmtree(self._mirror)
            return True
        return False

    def _among_everything(self, commit: str) -> None:
        """Look for a commit in all branches and tags of a server that gives none by its id."""
        self.everything()
        if has_object(self._mirror, f"{commit}^{{commit}}"):
            run_git(["update-ref", f"{MARKS}/{commit}", commit], cwd=self._mirror)

    def _run(self, *refspecs: str, tags: Sequence[str] = ("--no-tags",)) -> None:
        # One that was killed has cleaned up nothing.
        remove_leftovers(self._mirror)
        quiet = ["--quiet", *tags, "--no-write-fetch-head", "--no-recurse-submodules"]
        try:
            run_git(
                ["fetch", *quiet, "--end-of-options", self._address, *refspecs],
                cwd=self._mirror,
                access=self._access,
                timeout_s=self.allowance.left_s,
                file_bytes=self.allowance.room_bytes - size_of(self._mirror),
                held=(self._lock,),
            )
        except GitFailedError:
            remove_leftovers(self._mirror)
            raise


def _make(mirror: Path, commit: str) -> None:
    """Make an empty mirror that can hold the commit, whole or not at all."""
    draft = Path(tempfile.mkdtemp(prefix=NEW, dir=mirror.parent))
    try:
        run_git(init_arguments(draft, commit))
        draft.rename(mirror)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
