"""Keeping mirrors small: tidying them, and removing what was left behind or is not used.

A commit in a mirror is held by a mark, a ref of its own, whose file's time says when somebody asked
for it last.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from products.git.commands import GitFailedError, run_git
from products.git.mirror_lock import alone_with

logger = logging.getLogger(__name__)

#: Where the marks lie in a mirror.
MARKS = "refs/conveyor"
#: Where all branches and all tags lie once somebody asked for them.
OF_EVERYTHING = ("refs/conveyor-heads", "refs/tags")
#: The folder of a mirror with one list of tags for each commit.
TAG_LISTS = "conveyor-tags"
#: What begins so is being made, read or removed, and stays behind only when that was killed.
NEW, READ, OLD = ".new-", ".read-", ".old-"

#: Marks and mirrors that nobody asked for in so long are let go of.
_KEPT_S = 30 * 86400.0
#: ... and in so long where room is short; whoever asked has read the commit by then.
_KEPT_WHEN_SHORT_S = 3600.0
#: A mirror of more packs is tidied: each fetch makes one.
_MOST_PACKS = 50
_LEFT_BEHIND_S = 86400.0
_LOOK_EVERY_S = 86400.0
_STAMP = ".looked-at"


# --- One mirror; the caller holds its lock --------------------------------------------------------
def size_of(mirror: Path) -> int:
    """Return how many bytes the packs of a mirror have."""
    return sum(_size(path) for path in (mirror / "objects" / "pack").glob("*"))


def remove_leftovers(mirror: Path) -> None:
    """Remove what a git that was killed has left: parts of packs, and locks that nobody holds."""
    for path in _leftovers(mirror):
        path.unlink(missing_ok=True)


def tidy(mirror: Path, *, timeout_s: float) -> None:
    """Put the packs of many fetches into one, without what only long unused commits need."""
    if len(list(mirror.glob("objects/pack/*.pack"))) > _MOST_PACKS:
        _let_go(mirror, _KEPT_S)
        _repack(mirror, timeout_s)


def make_room(mirror: Path, *, timeout_s: float) -> bool:
    """Keep only what was asked for a moment ago; return whether the mirror is smaller now."""
    before = size_of(mirror)
    if not before:
        return False
    _let_go(mirror, _KEPT_WHEN_SHORT_S)
    for name in OF_EVERYTHING:
        shutil.rmtree(mirror / name, ignore_errors=True)
    # Only tags are ever packed; those of commits that are still needed come with the next fetch.
    (mirror / "packed-refs").unlink(missing_ok=True)
    shutil.rmtree(mirror / TAG_LISTS, ignore_errors=True)
    _repack(mirror, timeout_s)
    return size_of(mirror) < before


def _leftovers(mirror: Path) -> Iterator[Path]:
    # No ref may be called so, but a branch may be called like a part of a pack.
    yield from mirror.rglob("*.lock")
    for pattern in ("tmp_*", ".tmp-*"):
        yield from (mirror / "objects").rglob(pattern)


def _let_go(mirror: Path, kept_s: float) -> None:
    oldest = time.time() - kept_s
    for mark in _marks(mirror):
        if mark.stat().st_mtime < oldest:
            mark.unlink()
            (mirror / TAG_LISTS / mark.name).unlink(missing_ok=True)


def _repack(mirror: Path, timeout_s: float) -> None:
    try:
        run_git(["repack", "-a", "-d", "-q"], cwd=mirror, timeout_s=timeout_s)
    except GitFailedError as error:
        remove_leftovers(mirror)
        logger.warning("The mirror %s could not be tidied: %s", mirror, error)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


# --- All mirrors of a folder ----------------------------------------------------------------------
def remove_unused(mirrors: Path) -> None:
    """Remove mirrors that nobody used for a month, if nobody has looked for them today.

    Each machine does so for itself, whoever fetches there. A mirror that somebody is at is left.
    """
    stamp = mirrors / _STAMP
    if _unused_s(stamp) < _LOOK_EVERY_S:
        return
    stamp.touch(mode=0o600)
    for path in list(mirrors.iterdir()):
        if path.name.startswith((NEW, READ, OLD)):
            if _unused_s(path) > _LEFT_BEHIND_S:
                shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".git" and path.is_dir() and _unused_s(path) > _KEPT_S:
            _remove(path)


def _remove(mirror: Path) -> None:
    aside = mirror.with_name(f"{OLD}{mirror.name}")
    with alone_with(mirror, patience_s=0) as lock:
        if lock is None or not mirror.is_dir():
            return
        shutil.rmtree(aside, ignore_errors=True)
        mirror.rename(aside)
        if _unused_s(aside) < _KEPT_S:
            # Somebody found a commit in it just before.
            aside.rename(mirror)
            return
    shutil.rmtree(aside, ignore_errors=True)
    logger.info("The mirror %s is removed: nobody used it for a month.", mirror)


def _unused_s(path: Path) -> float:
    """Return for how long nobody used a mirror or wrote a file; without end if it is not there."""
    times = []
    for each in (path, *_marks(path)):
        with suppress(FileNotFoundError):
            times.append(each.stat().st_mtime)
    return time.time() - max(times, default=float("-inf"))


def _marks(mirror: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(mirror / MARKS)]
    except (FileNotFoundError, NotADirectoryError):
        return []
