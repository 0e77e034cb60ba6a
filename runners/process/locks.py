"""Locks of flock(2) on small files: the kernel lets go of one when its last holder is gone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The folder of locks in a work folder.
LOCKS = ".locks"
# Shared by all that hold names of the dead, for as long as they do.
_SWEEPING = "sweeping"


def lock_file(folder: Path, name: str) -> int:
    """Return the open file; a lock on it is held until the last process that has it is gone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(folder / name, flags, 0o600)


def name_lock(work_dir: Path, name: str) -> int:
    """Return the open file of the lock that the runner of that name holds while it lives."""
    return lock_file(work_dir / LOCKS, _of_name(name))


def locked(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock on an open file; return False where another holds it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def sweeping(work_dir: Path) -> Iterator[None]:
    """Say to all that start in a work folder that the names of dead runners may be held here."""
    descriptor = lock_file(work_dir / LOCKS, _SWEEPING)
    try:
        # Only ever held by others for the instant of a question.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_being_swept(work_dir: Path) -> bool:
    """Return whether anybody may hold the names of dead runners of a work folder."""
    descriptor = lock_file(work_dir / LOCKS, _SWEEPING)
    try:
        return not locked(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def held_if_dead(work_dir: Path, name: str) -> Iterator[bool | None]:
    """Hold the name of a runner that is dead; tell whether it is, None for one without a lock.

    Nobody takes the name meanwhile.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(work_dir / LOCKS / _of_name(name), flags)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        yield locked(descriptor)
    finally:
        os.close(descriptor)


def _of_name(name: str) -> str:
    return f"name-{name}"
