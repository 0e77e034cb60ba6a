"""Facts of a checkout on this machine: where it came from, where it stands, what its file says."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from products.git.blobs import LARGEST_FILE, read_file
from products.git.commands import GitFailedError, run_git
from products.git.errors import FileMissingError, FileTooLargeError

_WEB_LOGIN = re.compile(r"(?<=^http://)[^/]*@|(?<=^https://)[^/]*@")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder that git looks after.

    ``origin`` is the address that it was cloned from, without a login, empty if there is none;
    ``commit`` and ``branch`` are empty before the first commit, ``branch`` also where none is
    checked out; ``default_branch`` is the origin's, as far as the checkout knows.
    """

    root: Path
    origin: str
    commit: str
    branch: str
    default_branch: str

    def file_at_head(self, path: str) -> bytes:
        """Return a file as it was committed last; raises FileMissingError, FileTooLargeError."""
        if not self.commit:
            raise FileMissingError(f"Nothing is committed in {self.root} yet.")
        return read_file(self.root, self.commit, path, where=f"of {self.root}")

    def file_in_tree(self, path: str) -> bytes:
        """Return a file as it lies in the folder; raises FileMissingError, FileTooLargeError."""
        return read_plain_file(self.root / path)


def open_checkout(folder: Path) -> Checkout | None:
    """Return the facts of the checkout that a folder is in, None if it is in none.

    Raises GitMissingError.
    """
    root = _asked(folder, "rev-parse", "--show-toplevel")
    if not root:
        return None
    top = Path(root)
    return Checkout(
        root=top,
        origin=_origin(top),
        commit=_asked(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
        branch=_asked(top, "symbolic-ref", "--quiet", "--short", "HEAD"),
        default_branch=_asked(
            top, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"
        ).removeprefix("origin/"),
    )


def read_plain_file(path: Path) -> bytes:
    """Return a belt file that lies in a folder; a link at its end is not followed.

    Raises FileMissingError and FileTooLargeError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise FileMissingError(
                f"The file {path} is a link, and links are not followed. Put the file itself there."
            ) from error
        raise FileMissingError(f"The file {path} cannot be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileMissingError(f"{path} is no plain file.")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise FileTooLargeError(path.name, f"in {path.parent}", LARGEST_FILE)
    return content


def _origin(root: Path) -> str:
    written = _asked(root, "config", "--get", "remote.origin.url")
    if written.startswith(("./", "../")) or written in (".", ".."):
        return os.path.normpath(root / written)
    return _WEB_LOGIN.sub("", written)


def _asked(folder: Path, *arguments: str) -> str:
    try:
        answer = run_git(arguments, cwd=folder)
    except GitFailedError:
        return ""
    return answer.decode("utf-8", errors="replace").removesuffix("\n")
