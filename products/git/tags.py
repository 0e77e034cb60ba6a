"""The tags that come along with a checkout: those of a commit's history, listed once a commit.

Git brings the tags of a history along when it fetches the history. The list for a commit is a file
in its mirror, so that a checkout does not search a repository of very many tags again: the tags at
the commit itself, an empty line, the newest others.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from products.git.commands import run_git
from products.git.upkeep import TAG_LISTS

#: The maximum number of tags of one list: tags at the commit itself first, then the newest ones.
MOST_TAGS = 200
# A mirror with more loose tags than this has them packed.
_MOST_LOOSE = 500
_TAGS = "refs/tags"


def has_tag(mirror: Path, tag: str, commit: str) -> bool:
    """Return whether the list of the commit has the tag as one at the commit itself."""
    with suppress(OSError):
        lines = _list(mirror, commit).read_bytes().split(b"\n")
        return f"{_TAGS}/{tag}".encode() in lines[: lines.index(b"")]
    return False


def has_list(mirror: Path, commit: str) -> bool:
    """Return whether the tags of the commit's history were listed."""
    return _list(mirror, commit).exists()


def write_list(mirror: Path, commit: str) -> None:
    """Write the names of the tags that a checkout of the commit gets; raises GitFailedError."""
    if _is_crowded(mirror / _TAGS):
        run_git(["pack-refs"], cwd=mirror)
    listed = ["for-each-ref", f"--count={MOST_TAGS}", "--sort=-creatordate", "--format=%(refname)"]
    at_commit = run_git([*listed, f"--points-at={commit}", _TAGS], cwd=mirror).split(b"\n")[:-1]
    merged = run_git([*listed, f"--merged={commit}", _TAGS], cwd=mirror).split(b"\n")[:-1]
    others = [name for name in merged if name not in at_commit][: MOST_TAGS - len(at_commit)]
    path = _list(mirror, commit)
    path.parent.mkdir(exist_ok=True)
    # The user of a job reads it, whatever the umask of the runner is.
    path.parent.chmod(0o755)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(b"".join(name + b"\n" for name in (*at_commit, b"", *others)))
    draft.chmod(0o644)
    draft.rename(path)


def _list(mirror: Path, commit: str) -> Path:
    return mirror / TAG_LISTS / commit


def _is_crowded(folder: Path) -> bool:
    try:
        return len(os.listdir(folder)) > _MOST_LOOSE  # noqa: PTH208 - names are enough
    except FileNotFoundError:
        return False
