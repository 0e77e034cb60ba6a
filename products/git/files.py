"""Reading one file of a repository at one commit, from git's objects and no work tree."""

from __future__ import annotations

import re
from pathlib import Path

from products.credentials import open_for_source
from products.git.commands import GitFailedError, run_git
from products.git.errors import FileMissingError, FileTooLargeError
from products.git.mirror import ensure_commit
from products.git.remote import mirrors_folder
from products.git.urls import check_url, shown
from products.models import Source

#: No belt file is larger; the language's own limit is the same.
LARGEST_FILE = 256 * 1024
_ENTRY = re.compile(r"(?P<mode>\d+) (?P<type>\w+) (?P<id>[0-9a-f]+) +(?P<size>\d+|-)\t")
_FILES = ("100644", "100755", "100664")


def read_belt_file(source: Source, commit: str) -> bytes:
    """Return the belt file of a source at a commit, which is fetched unless it is here.

    Raises FileMissingError where that commit has none, FileTooLargeError, and what
    ``ensure_commit``, ``check_url`` and ``open_for_source`` raise.
    """
    check_url(source.url)
    credential = open_for_source(source)
    mirror = ensure_commit(mirrors_folder(), source.url, commit, credential=credential)
    return read_file(mirror, commit, source.path, where=f"of {shown(source.url)}")


def read_file(repository: Path, commit: str, path: str, *, where: str) -> bytes:
    """Return a file of a commit; ``where`` says in errors whose file it is.

    Raises FileMissingError and FileTooLargeError.
    """
    at = f"{where} at {commit[:12]}"
    try:
        listed = run_git(["ls-tree", "-z", "-l", "--full-tree", commit, "--", path], cwd=repository)
    except GitFailedError as error:
        raise FileMissingError(f"The commit {commit[:12]} {where} is not here.") from error
    entry = _ENTRY.match(listed.decode("utf-8", errors="replace"))
    if entry is None:
        raise FileMissingError(
            f"There is no file {path} {at}. Commit one, or name its path in the source."
        )
    if entry["mode"] not in _FILES:
        what = "a folder" if entry["type"] == "tree" else "no plain file"
        raise FileMissingError(f"{path} {at} is {what}. A belt file is a plain file.")
    if int(entry["size"]) > LARGEST_FILE:
        raise FileTooLargeError(path, at, LARGEST_FILE)
    return run_git(["cat-file", "blob", entry["id"]], cwd=repository, limit_bytes=LARGEST_FILE)
