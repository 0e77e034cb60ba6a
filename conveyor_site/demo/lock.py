"""One site a data folder: the lock that a running demonstration holds."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from products.errors import UserError

_LOCK = "demo.lock"


class RunsAlreadyError(UserError):
    """A site runs from the same data folder."""

    code = "demo.runs-already"


class Lock:
    """Held by the one process that runs a site from the data folder, as long as it lives.

    Making it raises RunsAlreadyError, which says who holds it.
    """

    def __init__(self) -> None:
        path = Path(settings.CONVEYOR_DATA_DIR) / _LOCK
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 1000, 0)
            os.close(self._descriptor)
            raise RunsAlreadyError(_sentence(holder)) from error
        self.say("")

    def say(self, url: str) -> None:
        """Write down who holds the lock and where the site is, for those who find it taken."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)

    def release(self) -> None:
        """Let the next one have it."""
        os.close(self._descriptor)


def _sentence(said: bytes) -> str:
    holder: dict[str, object] = {}
    with suppress(ValueError):
        holder = json.loads(said)
    place = f" at {holder['url']}" if holder.get("url") else ""
    return (
        f"A site already runs from {settings.CONVEYOR_DATA_DIR}{place}, as process "
        f"{holder.get('pid', 'unknown')}. Use that site, end it with Ctrl-C, or set "
        "CONVEYOR_DATA_DIR to another folder."
    )
