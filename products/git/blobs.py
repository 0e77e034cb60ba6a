"""Reading one file of a repository on this machine at one commit, from git's objects alone."""

from __future__ import annotations

import re
from pathlib import Path

from products.git.commands import GitFailedError, run_git
from products.git.errors import FileMissingError, FileTooLargeError

#: No belt file is larger; the language's own limit is the same.
LARGEST_FILE = 256 * 1024
_ENTRY = re.compile(r"(?P<mode>\d+) (?P<type>\w+) (?P<id>[0-9a-f]+)\t")
_FILES = ("100644", "100755", "100664")


def read_file(repository: Path, commit: str, path: str, *, where: str) -> bytes:
    """Return a file of a commit; ``where`` says in errors whose file it is.

    Raises FileMissingError, also where the repository is damaged, and FileTooLargeError.
    """
    blob = find_file(repository, commit, path, where=where)
    try:
        size = run_git(["cat-file", "-s", blob], cwd=repository)
        if int(size) > LARGEST_FILE:
            raise FileTooLargeError(path, at(where, commit), LARGEST_FILE)
        return run_git(["cat-file", "blob", blob], cwd=repository, limit_bytes=LARGEST_FILE)
    except GitFailedError as error:
        raise FileMissingError(
            f"The file {path} {at(where, commit)} cannot be read: git cannot read its object "
            f"{blob[:12]}. The repository is damaged. Clone it again."
        ) from error


def find_file(repository: Path, commit: str, path: str, *, where: str) -> str:
    """Return the id of a file's content, which need not be there. Raises FileMissingError."""
    try:
        listed = run_git(["ls-tree", "-z", "--full-tree", commit, "--", path], cwd=repository)
    except GitFailedError as error:
        raise FileMissingError(
            f"The commit {commit[:12]} {where} cannot be read: objects of it are missing. The "
            "repository is damaged. Clone it again."
        ) from error
    entry = _ENTRY.match(listed.decode("utf-8", errors="replace"))
    if entry is None:
        raise FileMissingError(
            f"There is no file {path} {at(where, commit)}. Commit one, or name its path in the "
            "source."
        )
    if entry["mode"] not in _FILES:
        what = "a folder" if entry["type"] == "tree" else "no plain file"
        raise FileMissingError(
            f"{path} {at(where, commit)} is {what}. A belt file is a plain file."
        )
    return entry["id"]


def has_object(repository: Path, object_id: str) -> bool:
    """Return whether a commit or the content of a file is there."""
    try:
        run_git(["cat-file", "-e", object_id], cwd=repository)
    except GitFailedError:
        return False
    return True


def at(where: str, commit: str) -> str:
    """Return whose file it is, and at which commit, as errors say it."""
    return f"{where} at {commit[:12]}"
