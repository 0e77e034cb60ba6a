"""The address at which the site of this data folder is served now, for links in commands.

The orchestrator holds a lock on the file while it lives. So the address of an orchestrator that has
ended is not used.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from django.conf import settings

_FILE = "address"
_LONGEST = 1000
#: Readers hold the lock for a moment.
_TRIES = 20
_BETWEEN_S = 0.01


def publish_address(url: str) -> None:
    """Write the URL to the file for the life of this process and its children.

    Does nothing if another server of the same data folder has done so, or if the file cannot be
    written. Then links have the address of the settings.
    """
    try:
        file = os.open(_path(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, url.encode(), 0)
            # The lock is this process's until it ends.
            return
        time.sleep(_BETWEEN_S)
    os.close(file)


def served_address() -> str:
    """Return the URL at which the site is served now; empty if it is not served."""
    try:
        file = os.open(_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, _LONGEST, 0).decode(errors="replace").rstrip("/")
    else:
        return ""
    finally:
        os.close(file)


def _path() -> Path:
    return Path(settings.CONVEYOR_DATA_DIR) / _FILE
