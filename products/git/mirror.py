"""Bare mirrors of repositories on this machine, from which commits are read and checked out.

One mirror for each address and credential: who may not read a repository finds nothing of it
here. Fetches into one mirror wait for one another; a commit that was fetched whole is marked by a
ref of its own and is there at once the next time. Marks that nobody asked for in a month are let
go of when a mirror is tidied. Nothing here touches the database.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from products.credentials import OpenedCredential
from products.git.access import open_access
from products.git.commands import Access, GitFailedError, run_git
from products.git.errors import CommitMissingError, SourceUnreachableError
from products.git.failures import (
    is_damage,
    is_missing_commit,
    is_not_advertised,
    unreachable,
)
from products.git.urls import fetch_url, shown

logger = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 540.0
_MARKS = "refs/conveyor"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_EVERYTHING = ("+refs/heads/*:refs/conveyor-heads/*", "+refs/tags/*:refs/conveyor-tags/*")
_OF_EVERYTHING = ("refs/conveyor-heads", "refs/conveyor-tags")
_SHA1_DIGITS = 40
#: A mirror of more packs is tidied: each fetch makes one.
_MOST_PACKS = 50
_KEPT_S = 30 * 86400.0
_LOOK_EVERY_S = 0.05


def ensure_commit(
    mirrors: Path, url: str, commit: str, *, credential: OpenedCredential | None = None
) -> Path:
    """Return the bare mirror below ``mirrors`` that has the commit, fetched unless it is there.

    Everything inside the mirror may be read by whoever may enter its folder, which is its owner
    alone unless somebody widens it. Raises CommitMissingError, SourceUrlError,
    SourceCredentialError and SourceUnreachableError.
    """
    if not _COMMIT.fullmatch(commit):
        raise CommitMissingError(commit[:80], shown(url))
    mirrors.mkdir(mode=0o700, parents=True, exist_ok=True)
    mirror = mirrors / f"{_name(url, credential)}.git"
    if _has(mirror, commit):
        return mirror
    with _alone(mirror, url):
        if not _has(mirror, commit):
            _fetch(mirror, url, commit, credential)
            _tidy(mirror)
    return mirror


def is_ancestor(mirror: Path, commit: str, descendant: str) -> bool:
    """Return whether ``descendant`` is the commit or came after it; both are in the mirror."""
    try:
        run_git(["merge-base", "--is-ancestor", commit, descendant], cwd=mirror)
    except GitFailedError:
        return False
    return True


def is_in_a_branch_or_tag(
    mirror: Path, url: str, commit: str, *, credential: OpenedCredential | None = None
) -> bool:
    """Return whether a branch or tag of the repository holds the commit, which is in its mirror.

    One that none holds may be anybody's: hosts hand out commits of forks as the repository's own.
    Raises SourceUrlError, SourceCredentialError and SourceUnreachableError.
    """
    held = ["for-each-ref", "--count=1", "--format=held", f"--contains={commit}"]
    with _alone(mirror, url), open_access(url, credential, mirror.parent) as (address, access):
        try:
            _Fetch(mirror, address, access).everything()
            return bool(run_git([*held, *_OF_EVERYTHING], cwd=mirror).strip())
        except GitFailedError as error:
            raise unreachable(url, error, timeout_s=FETCH_TIMEOUT_S) from error


def _name(url: str, credential: OpenedCredential | None) -> str:
    allowed = f"{credential.kind} {credential.name}" if credential is not None else ""
    return hashlib.sha256(f"{fetch_url(url)}\0{allowed}".encode()).hexdigest()[:40]


def _has(mirror: Path, commit: str) -> bool:
    """Return whether the commit was fetched with everything that it needs; note that it is used."""
    try:
        os.utime(mirror / _MARKS / commit)
    except OSError:
        return False
    return True


@contextmanager
def _alone(mirror: Path, url: str) -> Iterator[None]:
    """Hold the mirror's lock, which the kernel lets go of when its holder dies."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(mirror.with_suffix(".lock"), flags, 0o600)
    try:
        give_up_at = time.monotonic() + FETCH_TIMEOUT_S
        while not _locked(descriptor):
            if time.monotonic() > give_up_at:
                raise SourceUnreachableError(
                    shown(url), "another fetch of it on this machine does not come to its end."
                )
            time.sleep(_LOOK_EVERY_S)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fetch(mirror: Path, url: str, commit: str, credential: OpenedCredential | None) -> None:
    with open_access(url, credential, mirror.parent) as (address, access):
        try:
            fetch = _Fetch(mirror, address, access)
            try:
                fetch.commit(commit, url)
            except GitFailedError as error:
                if not is_damage(error):
                    raise
                # Whatever broke it, nothing that matters is only here.
                shutil.rmtree(mirror)
                fetch.commit(commit, url)
        except GitFailedError as error:
            raise unreachable(url, error, timeout_s=FETCH_TIMEOUT_S) from error


class _Fetch:
    """Fetches from one address into one mirror; raises GitFailedError."""

    def __init__(self, mirror: Path, address: str, access: Access) -> None:
        self._mirror = mirror
        self._address = address
        self._access = access

    def commit(self, commit: str, url: str) -> None:
        """Fetch the commit and mark it."""
        if not self._mirror.exists():
            _make(self._mirror, "sha1" if len(commit) == _SHA1_DIGITS else "sha256")
        try:
            self._run(f"+{commit}:{_MARKS}/{commit}")
        except GitFailedError as error:
            if not (is_missing_commit(error) or is_not_advertised(error)):
                raise
            if is_not_advertised(error):
                self._among_everything(commit)
        if not _has(self._mirror, commit):
            raise CommitMissingError(commit, shown(url))

    def everything(self) -> None:
        """Fetch all branches and tags."""
        self._run(*_EVERYTHING)

    def _among_everything(self, commit: str) -> None:
        """Look for a commit in all branches and tags of a server that gives none by its id."""
        self.everything()
        try:
            run_git(["cat-file", "-e", f"{commit}^{{commit}}"], cwd=self._mirror)
        except GitFailedError:
            return
        run_git(["update-ref", f"{_MARKS}/{commit}", commit], cwd=self._mirror)

    def _run(self, *refspecs: str) -> None:
        run_git(
            [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--end-of-options",
                self._address,
                *refspecs,
            ],
            cwd=self._mirror,
            access=self._access,
            timeout_s=FETCH_TIMEOUT_S,
        )


def _tidy(mirror: Path) -> None:
    """Put the packs of many fetches into one, without what only long unused commits need."""
    if len(list(mirror.glob("objects/pack/*.pack"))) <= _MOST_PACKS:
        return
    oldest = time.time() - _KEPT_S
    for mark in (mirror / _MARKS).iterdir():
        if mark.stat().st_mtime < oldest:
            mark.unlink()
    try:
        run_git(["repack", "-a", "-d", "-q"], cwd=mirror, timeout_s=FETCH_TIMEOUT_S)
    except GitFailedError as error:
        logger.warning("The mirror %s could not be tidied: %s", mirror, error)


def _make(mirror: Path, object_format: str) -> None:
    """Make an empty mirror, whole or not at all."""
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=mirror.parent))
    try:
        form = f"--object-format={object_format}"
        run_git(["init", "--quiet", "--bare", "--template=", form, str(draft)])
        draft.rename(mirror)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
