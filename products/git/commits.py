"""Ids of commits, and repositories that can hold them."""

from __future__ import annotations

import re
from pathlib import Path

from products.git.errors import CommitMissingError
from products.git.logins import shown

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA1_DIGITS = 40
_SHOWN = 80


def is_commit_id(text: str) -> bool:
    """Return whether the text is a full id of a commit."""
    return _COMMIT.fullmatch(text) is not None


def check_commit(text: str, url: str) -> None:
    """Raise CommitMissingError unless the text is a full id of a commit."""
    if not is_commit_id(text):
        raise CommitMissingError(text[:_SHOWN], shown(url))


def init_arguments(folder: Path, commit: str) -> list[str]:
    """Return what git is told to make a bare repository that can hold the commit."""
    form = "sha1" if len(commit) == _SHA1_DIGITS else "sha256"
    return ["init", "--quiet", "--bare", "--template=", f"--object-format={form}", str(folder)]
