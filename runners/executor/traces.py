"""What a job may leave outside of its folders where it shares the machine's, removed at its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from time import time_ns

from runners.executor.removal import remove_tree
from runners.supervisor import ipc

#: Folders in which everybody may make files.
OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")  # noqa: S108 - not used
# The clock of files may be coarse: what changes within this time may look as if it had not.
_SETTLED_NS = 1_000_000_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


# How a folder looked when it was seen to hold nothing of the user: {(user, path): look}.
_clean: dict[tuple[int, str], Hashable] = {}


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
                _clear(folder, path, uid, alive)
            finally:
                os.close(folder)


def _clear(folder: int, path: str, uid: int, alive: Callable[[], object]) -> None:
    """Remove what the user owns in an open folder, unless nothing was put in since it was clean."""
    begun_at = time_ns()
    facts = os.fstat(folder)
    # No user can set back this time, which each entry that is made or moved into it renews.
    look = (facts.st_dev, facts.st_ino, facts.st_ctime_ns, facts.st_size, facts.st_nlink)
    if _clean.get((uid, path)) == look:
        return
    own = entries_of(folder, uid)
    if not own and facts.st_ctime_ns < begun_at - _SETTLED_NS:
        _clean[uid, path] = look
    # In such a folder only its owner, who has no process any more, can put another in its place.
    for name in own:
        remove_tree(folder, name, alive=alive)


def entries_of(folder: int, uid: int) -> list[str]:
    """Return the names of what ``uid`` owns in an open folder, no symlink followed."""
    own = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_uid == uid:
                    own.append(entry.name)
    return own
