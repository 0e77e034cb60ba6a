"""What a user keeps in the kernel without any process: System V objects and keys.

Objects are found here only where jobs could not have an IPC namespace of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from runners.supervisor import kernel

_KINDS = ("shm", "msg", "sem")


def forget(uid: int) -> None:
    """Remove what ``uid`` keeps in the kernel; the caller must be root and uid must not.

    A child takes on that uid, which may remove all that is its own and nothing else.
    """
    if uid <= 0:
        raise ValueError("only an unprivileged user's objects can be removed")
    if not any(_objects_of(uid)) and not _has_keys(uid):
        return
    pid = os.fork()
    if pid == 0:
        _forget_as(uid)
    os.waitpid(pid, 0)


def _forget_as(uid: int) -> None:
    try:
        os.setresuid(uid, uid, uid)
        if os.getresuid() == (uid, uid, uid):
            for kind, number in _objects_of(uid):
                kernel.remove_object(kind, number)
            kernel.clear_user_keys()
    finally:
        os._exit(0)


def _objects_of(uid: int) -> Iterator[tuple[str, int]]:
    """Yield (kind, id) of the System V objects that ``uid`` made."""
    for kind in _KINDS:
        try:
            names, *lines = kernel.read_file(f"/proc/sysvipc/{kind}").splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            facts = dict(zip(names.split(), line.split(), strict=False))
            if uid in (int(facts[b"uid"]), int(facts[b"cuid"])):
                yield kind, int(line.split()[1])


def _has_keys(uid: int) -> bool:
    """Return whether the kernel knows of keys of ``uid``; where it does not tell, it has none."""
    try:
        users = kernel.read_file("/proc/key-users")
    except FileNotFoundError:
        return False
    # A user's line begins with the number in a column of at least five.
    return b"\n%5d:" % uid in b"\n" + users
