"""What a job may leave outside of its folders where it shares the machine's, removed at its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from runners.executor.removal import remove_tree
from runners.supervisor import ipc

#: Folders in which everybody may make files.
OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")  # noqa: S108 - not used
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def remove_traces(uid: int, *, alive: Callable[[], object] = lambda: None) -> None:
    """Remove what ``uid``, which must be a user for jobs without any process, has left.

    That is what it owns in folders that are open to all, and what it keeps in the kernel. Raises
    OSError for what the kernel does not let go. ``alive`` is called for every entry.
    """
    ipc.forget(uid)
    for path in OPEN_TO_ALL:
        with suppress(FileNotFoundError, NotADirectoryError):
            folder = os.open(path, _FOLDER)
            try:
                _remove_from(folder, uid, alive)
            finally:
                os.close(folder)


def _remove_from(folder: int, uid: int, alive: Callable[[], object]) -> None:
    # In such a folder only its owner, who has no process any more, can put another in its place.
    with os.scandir(folder) as entries:
        own = [each.name for each in entries if _is_of(each, uid)]
    for name in own:
        remove_tree(folder, name, alive=alive)


def _is_of(entry: os.DirEntry[str], uid: int) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_uid == uid
    except FileNotFoundError:
        return False
