"""Where a runner's jobs run: its folder, its lock on its name, and a user for each slot.

Folders lie below the work folder, as does the lock on the name; users are the machine's, and so
are the locks on them. Locks are of flock(2): the kernel lets go of them when the last process of a
runner is gone, however it ended.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from runners.errors import NoPlaceError
from runners.process.plan import SlotPlace
from runners.supervisor.processes import owned_by

#: The users that jobs of a root runner may run as, first and last.
JOB_UIDS = (64000, 64999)
#: The group of mirrors; only a checkout is in it, and no job.
MIRROR_GROUP = 63999

_LOCKS = ".locks"
#: Where runners of one machine that have other work folders look, too; root's, gone at a restart.
_USER_LOCKS = Path("/run/conveyor")
_DYING_S = 2.0
_LOOK_EVERY_S = 0.05


def prepare_places(work_dir: Path) -> None:
    """Make the work folder of all runners of this machine, which jobs may pass and not list.

    Raises NoPlaceError if that is impossible.
    """
    try:
        work_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        (work_dir / _LOCKS).mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            work_dir.chmod(0o711)
    except OSError as error:
        raise NoPlaceError(
            f"The work folder {work_dir} cannot be used: {error.strerror}. Set CONVEYOR_WORK_DIR."
        ) from error


def take_name(work_dir: Path, name: str, boot_id: UUID) -> UUID | None:
    """Take this machine's lock on a runner's name, for as long as any process of it lives.

    Returns the start of that runner that held it before, and is dead; None if there was none.
    Raises NoPlaceError if a runner of that name is alive on this machine; one that was killed a
    moment ago is given a moment to be gone.
    """
    descriptor = _lock_file(work_dir / _LOCKS, f"name-{name}")
    deadline = time.monotonic() + _DYING_S
    while not _locked(descriptor):
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise NoPlaceError(
                f"A runner named {name} runs on this machine already. Stop it, or give this one "
                "another name with --name."
            )
        time.sleep(_LOOK_EVERY_S)
    previous = _uuid(os.pread(descriptor, 100, 0))
    os.pwrite(descriptor, str(boot_id).encode(), 0)
    return previous


def remove_place(work_dir: Path, name: str) -> bool:
    """Remove the folder of a runner that has ended, and the lock on its name.

    Returns False, and removes nothing, while a runner of that name lives. For a name that nobody
    else takes meanwhile.
    """
    locks = work_dir / _LOCKS
    if not locks.is_dir():
        return True
    descriptor = _lock_file(locks, f"name-{name}")
    try:
        if not _locked(descriptor):
            return False
        shutil.rmtree(work_dir / name, ignore_errors=True)
        (locks / f"name-{name}").unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True


def _uuid(text: bytes) -> UUID | None:
    try:
        return UUID(text.decode().strip())
    except ValueError:
        return None


def choose_slots(work_dir: Path, count: int, uids: tuple[int, int] | None) -> tuple[SlotPlace, ...]:
    """Return the places of so many slots, each with a user of its own if ``uids`` are given.

    A user is taken that no account names, that no other runner of this machine has, and that owns
    no process. Raises NoPlaceError if there are too few of them.
    """
    if uids is None:
        return tuple(SlotPlace(number, None) for number in range(count))
    free = _free_uids(work_dir, uids)
    chosen = [uid for _, uid in zip(range(count), free, strict=False)]
    if len(chosen) < count:
        raise NoPlaceError(
            f"{count} slots need as many free user ids, and {uids[0]} to {uids[1]} have only "
            f"{len(chosen)}. Choose other ones with --job-uids, or fewer --slots."
        )
    return tuple(SlotPlace(number, uid) for number, uid in enumerate(chosen))


def _free_uids(work_dir: Path, uids: tuple[int, int]) -> Iterator[int]:
    accounts = {account.pw_uid for account in pwd.getpwall()}
    locks = _user_locks(work_dir)
    for uid in range(uids[0], uids[1] + 1):
        if uid in accounts:
            continue
        descriptor = _lock_file(locks, f"uid-{uid}")
        if _locked(descriptor) and not owned_by(uid):
            yield uid
        else:
            os.close(descriptor)


def _user_locks(work_dir: Path) -> Path:
    """Return the folder of locks on users: the machine's, or else that of the work folder."""
    if os.geteuid() != 0:
        return work_dir / _LOCKS
    try:
        _USER_LOCKS.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return work_dir / _LOCKS
    return _USER_LOCKS


def _lock_file(folder: Path, name: str) -> int:
    """Return the open file; a lock on it is held until the last process that has it is gone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(folder / name, flags, 0o600)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
