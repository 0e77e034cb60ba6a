"""Removing what a job left: no symlink is followed, no mount crossed, no permission obeyed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PINNED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Deeper folders are moved to the top first: each open level costs a descriptor.
_DEEPEST = 32


def take_over(parent: int, name: str) -> None:
    """Make the folder ``name`` in the open folder ``parent`` this process', closed to all others.

    Whatever lies in it is out of reach then, at once and whether or not it can be removed. What is
    no folder, or gone, is left.
    """
    try:
        pinned = os.open(name, _PINNED, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        path = f"/proc/self/fd/{pinned}"
        if os.fstat(pinned).st_uid != os.geteuid():
            os.chown(path, os.geteuid(), os.getegid())
        os.chmod(path, stat.S_IRWXU)  # noqa: PTH101 - a descriptor
    finally:
        os.close(pinned)


def remove_tree(parent: int, name: str, *, alive: Callable[[], object] = lambda: None) -> None:
    """Remove ``name`` in the open folder ``parent`` with everything beneath it.

    Folders are given to their owner, and closed to others, before they are emptied. What is
    mounted there stays and raises OSError, as does what the kernel refuses to remove; a name that
    is gone is no error. ``alive`` is called for every entry, since a large tree takes long.
    """
    if _remove_at_once(parent, name, is_folder=True):
        return
    folder = _open_folder(parent, name)
    if folder is None:
        return
    try:
        removal = _Removal(folder, alive)
        while removal.empty(folder, 0):
            pass
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


class _Removal:
    """The removal of what lies in one open folder, ``top``."""

    def __init__(self, top: int, alive: Callable[[], object]) -> None:
        self._top = top
        self._alive = alive

    def empty(self, folder: int, depth: int) -> bool:
        """Remove everything in an open folder; return True if deep parts were moved to the top."""
        moved = False
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            self._alive()
            if _remove_at_once(folder, name, is_folder=is_folder):
                continue
            if depth >= _DEEPEST:
                self._move_up(folder, name)
                moved = True
            else:
                moved |= self._remove_folder(folder, name, depth)
        return moved

    def _remove_folder(self, parent: int, name: str, depth: int) -> bool:
        folder = _open_folder(parent, name)
        if folder is None:
            return False
        try:
            moved = self.empty(folder, depth + 1)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=parent)
        return moved

    def _move_up(self, folder: int, name: str) -> None:
        # Opened only for its permissions: a folder's own are needed to give it another parent.
        opened = _open_folder(folder, name)
        if opened is not None:
            os.close(opened)
            free = _free_name(self._top)
            os.rename(name, free, src_dir_fd=folder, dst_dir_fd=self._top)


def _remove_at_once(parent: int, name: str, *, is_folder: bool) -> bool:
    """Remove a file or an empty folder; return False for a folder that is not empty.

    ``is_folder`` says what it was when last seen, and so what to try first.
    """
    if is_folder:
        try:
            os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            return True
        except NotADirectoryError:
            pass
        except OSError:
            return False
        else:
            return True
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        with suppress(OSError):
            os.rmdir(name, dir_fd=parent)
            return True
        return False
    return True


def _open_folder(parent: int, name: str) -> int | None:
    """Return the open folder, closed to all but its owner; None when it is gone.

    Another job may hold it or one above it open, so it is looked up once and never by a path that
    could lead elsewhere by now. From here on nobody else can change what lies in it.
    """
    try:
        pinned = os.open(name, _PINNED, dir_fd=parent)
    except FileNotFoundError:
        return None
    try:
        facts = os.fstat(pinned)
        if facts.st_dev != os.fstat(parent).st_dev:
            raise OSError(f"{name} is a mount point and was left alone")
        if stat.S_IMODE(facts.st_mode) != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{pinned}", stat.S_IRWXU)  # noqa: PTH101 - a descriptor
        return os.open(".", _FOLDER, dir_fd=pinned)
    finally:
        os.close(pinned)


def _free_name(top: int) -> str:
    number = 0
    while True:
        name = f".moved-{number}"
        try:
            os.lstat(name, dir_fd=top)
        except FileNotFoundError:
            return name
        number += 1
