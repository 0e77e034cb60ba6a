"""The lock of a mirror: who writes into it does so alone on this machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_EVERY_S = 0.05


@contextmanager
def alone_with(mirror: Path, *, patience_s: float) -> Iterator[int | None]:
    """Hold the mirror's lock, which the kernel lets go of when the last that has it is gone.

    Yields its descriptor, which who writes in our place must have too and may outlive us with; None
    where somebody else has held the lock for so long. The lock's file lies beside the mirror and
    stays: to remove it would let two hold it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(mirror.with_suffix(".lock"), flags, 0o600)
    try:
        give_up_at = time.monotonic() + patience_s
        is_mine = _locked(descriptor)
        while not is_mine and time.monotonic() < give_up_at:
            time.sleep(_LOOK_EVERY_S)
            is_mine = _locked(descriptor)
        yield descriptor if is_mine else None
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
