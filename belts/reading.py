"""Reading the belt file that an import names: a file, a folder, or a git URL at a ref."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from belts.errors import ImportSourceError
from belts.spec.names import quoted
from products.credentials import credential_named
from products.git.blobs import read_file
from products.git.checkouts import Checkout, open_checkout, read_plain_file
from products.git.commands import GitFailedError, OutputTooLongError, run_git
from products.git.errors import FileMissingError, FileTooLargeError, RefMissingError
from products.git.files import read_belt_file
from products.git.logins import shown
from products.git.remote import resolve_ref
from products.git.urls import check_url
from products.models import Source

FILE_NAME = ".conveyor.yml"
_LIKE_A_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/\s]+:[^\s]")


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A belt file as it was read, and where from.

    ``url`` is the repository that was named, ``origin`` the one that a checkout was cloned from;
    ``commit`` is empty where the text is that of no commit. ``is_pushed`` says that the repository
    had the commit when the file was read.
    """

    data: bytes
    file_name: str
    url: str = ""
    origin: str = ""
    commit: str = ""
    on_default_branch: bool = True
    is_pushed: bool = False
    path: str = FILE_NAME


def read_source(
    label: str, *, ref: str = "", use_stored: bool = True, credential: str = ""
) -> ReadFile:
    """Return the belt file of what an operator named.

    A URL is read with the ``credential`` of that name; without one as its source is. Without
    ``use_stored`` a URL is refused: its credential and its mirror are stored by the site.

    Raises ImportSourceError, and of repositories FileMissingError, RefMissingError, SourceUrlError,
    SourceUnreachableError and their like; each says what would work.
    """
    path = _existing(label)
    if path is not None and path.is_dir() and not _is_bare_repository(path):
        return _read_folder(path, ref)
    if path is not None and path.is_dir():
        return _read_repository(str(path), ref, use_stored=use_stored, credential=credential)
    if path is not None and path.name == FILE_NAME and open_checkout(path.parent) is not None:
        return _read_folder(path.parent, ref)
    if path is not None:
        return _read_plain(path, ref)
    if _LIKE_A_URL.match(label):
        return _read_repository(label, ref, use_stored=use_stored, credential=credential)
    raise ImportSourceError(
        f"{quoted(label)} is not a file, a folder or the URL of a git repository."
    )


def _existing(label: str) -> Path | None:
    try:
        path = Path(label).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return path if label else None


def _is_bare_repository(folder: Path) -> bool:
    parts = [folder / "HEAD", folder / "objects", folder / "refs"]
    return all(part.exists() for part in parts) and not (folder / FILE_NAME).exists()


def _read_plain(path: Path, ref: str) -> ReadFile:
    if ref:
        raise ImportSourceError(
            f"{path} is a file, so it has no ref {quoted(ref)}. Name the checkout or its URL."
        )
    return ReadFile(read_plain_file(path), str(path))


def _read_folder(folder: Path, ref: str) -> ReadFile:
    checkout = open_checkout(folder)
    if checkout is None or checkout.root.resolve() != folder:
        return _read_plain_folder(folder, ref)
    if ref:
        return _read_checkout_at(checkout, ref)
    data = checkout.file_in_tree(FILE_NAME)
    on_default = checkout.default_branch in ("", checkout.branch)
    commit = checkout.commit if _is_committed(checkout, data) else ""
    return ReadFile(
        data,
        str(folder / FILE_NAME),
        origin=checkout.origin,
        commit=commit,
        on_default_branch=on_default,
        is_pushed=_is_pushed(checkout, commit),
    )


def _read_plain_folder(folder: Path, ref: str) -> ReadFile:
    if ref:
        raise ImportSourceError(f"{folder} is no checkout of git, so it has no ref {quoted(ref)}.")
    if not (folder / FILE_NAME).exists():
        raise FileMissingError(
            f"The folder {folder} has no {FILE_NAME}. Name a belt file, a folder with one, or a"
            " git URL."
        )
    return ReadFile(read_plain_file(folder / FILE_NAME), str(folder / FILE_NAME))


def _is_committed(checkout: Checkout, data: bytes) -> bool:
    try:
        return checkout.file_at_head(FILE_NAME) == data
    except (FileMissingError, FileTooLargeError):
        return False


def _read_checkout_at(checkout: Checkout, ref: str) -> ReadFile:
    commit = _commit_in(checkout, ref)
    return ReadFile(
        read_file(checkout.root, commit, FILE_NAME, where=f"of {checkout.root}"),
        f"{checkout.root / FILE_NAME} at {ref}",
        origin=checkout.origin,
        commit=commit,
        on_default_branch=ref in (checkout.default_branch or checkout.branch, "HEAD"),
        is_pushed=_is_pushed(checkout, commit),
    )


def _is_pushed(checkout: Checkout, commit: str) -> bool:
    """Return whether a remote branch of the checkout has the commit, as of its last fetch."""
    if not commit:
        return False
    held = ["for-each-ref", "--count=1", "--format=held", f"--contains={commit}", "refs/remotes"]
    try:
        return bool(run_git(held, cwd=checkout.root).strip())
    except GitFailedError:
        return False  # of a damaged checkout


def _commit_in(checkout: Checkout, ref: str) -> str:
    """Return the commit that a ref is in the checkout; a branch of its origin counts as well."""
    for name in (ref, f"origin/{ref}"):
        wanted = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
        try:
            return run_git(wanted, cwd=checkout.root).decode().strip()
        except GitFailedError:
            continue
    raise RefMissingError(ref, str(checkout.root), _names_in(checkout))


def _names_in(checkout: Checkout) -> list[str]:
    wanted = ["for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags"]
    try:
        listed = run_git(wanted, cwd=checkout.root)
    except (GitFailedError, OutputTooLongError):
        return []
    return listed.decode("utf-8", errors="replace").split()


def _read_repository(url: str, ref: str, *, use_stored: bool, credential: str) -> ReadFile:
    if not use_stored:
        raise ImportSourceError(
            f"Reading the repository {shown(url)} needs a database. Check a checkout of it instead."
        )
    check_url(url)
    known = Source.objects.filter(url=url).select_related("credential", "product").first()
    source = known or Source(url=url, path=FILE_NAME)
    if credential:
        # Not stored: the one that the source has is no matter.
        source = Source(url=url, path=source.path, credential=credential_named(credential))
    found = resolve_ref(source, ref)
    return ReadFile(
        read_belt_file(source, found.commit),
        source.path,
        url=url,
        commit=found.commit,
        on_default_branch=found.on_default_branch,
        is_pushed=True,
        path=source.path,
    )
