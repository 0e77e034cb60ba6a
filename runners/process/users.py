"""The users that a runner's jobs run as: each slot has one of its own, which comes with nothing.

A user is the machine's, and so is the lock on it. It is given to a slot once it has neither a
process nor a file that a job of it could reach. Where its files may lie is written down before
there are any, and outlives runners and restarts of the machine: its next runner may have another
name and another work folder.
"""

from __future__ import annotations

import logging
import os
import pwd
import time
from collections import Counter
from pathlib import Path

from runners.errors import NoPlaceError
from runners.process.leftovers import sweep_user
from runners.process.locks import LOCKS, lock_file, locked
from runners.process.plan import SlotPlace
from runners.supervisor.processes import owned_by

logger = logging.getLogger(__name__)

#: The users that jobs of a root runner may run as, first and last.
JOB_UIDS = (64000, 64999)
#: The group of mirrors; only a checkout is in it, and no job.
MIRROR_GROUP = 63999

#: Where runners of one machine that have other work folders look, too; root's, gone at a restart.
_USER_LOCKS = Path("/run/conveyor")
#: The work folders in which users may have files, a file for each user; root's, kept.
_RECORDS = Path("/var/lib/conveyor/users")

_DYING_S = 2.0
_LOOK_EVERY_S = 0.05

_ACCOUNT = "have an account"
_TAKEN = "are other runners'"
_PROCESSES = "own processes"
_FILES = "own files that cannot be removed"


def choose_slots(work_dir: Path, count: int, uids: tuple[int, int] | None) -> tuple[SlotPlace, ...]:
    """Return the places of so many slots, each with a user of its own if ``uids`` are given.

    A user is taken that no account names, that no other runner of this machine has, and that owns
    no process; one whose runner was killed a moment ago is given a moment. What it owns of dead
    attempts is removed. Raises NoPlaceError if there are too few.
    """
    if uids is None:
        return tuple(SlotPlace(number, None) for number in range(count))
    search = _Search(work_dir, uids)
    deadline = time.monotonic() + _DYING_S
    while not search.has(count) and search.may_find_more and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    if len(search.found) < count:
        others = ", ".join(f"{number} {why}" for why, number in search.refusals.items())
        raise NoPlaceError(
            f"{count} slots need as many free user ids, and {uids[0]} to {uids[1]} have only "
            f"{len(search.found)}{others and f' ({others})'}. Choose other ones with --job-uids, "
            "or fewer --slots."
        )
    return tuple(SlotPlace(number, uid) for number, uid in enumerate(search.found))


class _Search:
    """The users of a range that were found free, and are locked, and why others are not."""

    def __init__(self, work_dir: Path, uids: tuple[int, int]) -> None:
        self.found: list[int] = []
        self.refusals: Counter[str] = Counter()
        self._work_dir = work_dir
        self._uids = range(uids[0], uids[1] + 1)
        self._accounts = {account.pw_uid for account in pwd.getpwall()}
        self._locks = _lock_folders(work_dir)
        self._records = _records(work_dir)

    @property
    def may_find_more(self) -> bool:
        """Whether a user was refused whose processes may be those of a runner that just died."""
        return _PROCESSES in self.refusals

    def has(self, count: int) -> bool:
        """Look for so many free users, and return whether there are as many."""
        self.refusals.clear()
        for uid in self._uids:
            if len(self.found) == count:
                return True
            if uid not in self.found:
                self._look_at(uid)
        return len(self.found) == count

    def _look_at(self, uid: int) -> None:
        if uid in self._accounts:
            self.refusals[_ACCOUNT] += 1
            return
        descriptors = [lock_file(folder, f"uid-{uid}") for folder in self._locks]
        is_mine = all(map(locked, descriptors))
        why = _why_not(uid, self._work_dir, self._records) if is_mine else _TAKEN
        if why is None:
            self.found.append(uid)
            return
        self.refusals[why] += 1
        for descriptor in descriptors:
            os.close(descriptor)


def _why_not(uid: int, work_dir: Path, records: Path) -> str | None:
    """Return why a user, whose locks are held, cannot be a slot's; None if it can be."""
    if owned_by(uid):
        return _PROCESSES
    for folder in {*_known_folders(records, uid), work_dir}:
        try:
            sweep_user(folder, uid)
        except OSError as error:
            logger.warning(
                "No job runs as user %d: what earlier ones left in %s cannot be removed (%s).",
                uid,
                folder,
                error.strerror or error,
            )
            return _FILES
    _write_down(records, uid, work_dir)
    return None


def _lock_folders(work_dir: Path) -> list[Path]:
    """Return the folders of locks on users: the machine's, and that of the work folder.

    Containers that share a work folder may share nothing else.
    """
    own = work_dir / LOCKS
    return list(dict.fromkeys((_made(_USER_LOCKS, own), own)))


def _records(work_dir: Path) -> Path:
    return _made(_RECORDS, work_dir / LOCKS)


def _made(folder: Path, instead: Path) -> Path:
    """Return a folder of root's, or the other one where it cannot be had."""
    if os.geteuid() != 0:
        return instead
    try:
        folder.parent.mkdir(mode=0o755, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return instead
    return folder


def _known_folders(records: Path, uid: int) -> list[Path]:
    try:
        text = _record(records, uid).read_bytes()
    except FileNotFoundError:
        return []
    return [Path(os.fsdecode(path)) for path in text.split(b"\0") if path]


def _write_down(records: Path, uid: int, work_dir: Path) -> None:
    """Write down that the files of a user lie below a work folder, and nowhere else any more.

    Raises NoPlaceError if that is impossible.
    """
    if _known_folders(records, uid) == [work_dir]:
        return
    record = _record(records, uid)
    draft = record.with_name(f".{record.name}")
    try:
        with draft.open("wb") as file:
            file.write(os.fsencode(work_dir))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(record)
    except OSError as error:
        raise NoPlaceError(
            f"Where the jobs of user {uid} have their files cannot be written down in {record}: "
            f"{error.strerror}. Mend that, and start the runner again."
        ) from error


def _record(records: Path, uid: int) -> Path:
    return records / f"folders-of-{uid}"
