"""Where a runner's jobs run: the work folder, its own folder in it, and its lock on its name.

Which users its slots' jobs run as: ``users.py``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from products.disk_trouble import is_denied, name_of_user, require_access, state_of
from runners.errors import NoPlaceError
from runners.executor import workspace
from runners.process.leftovers import sweep_dead_runners
from runners.process.locks import LOCKS, held_if_dead, is_being_swept, locked, name_lock
from runners.process.plan import ZYGOTE_FOLDER

# Starts that did not get as far as their registration, of which a lock file tells; it then still
# fits into one block of a disk.
_MOST_STARTS = 100
_SHORT_NAME = 5
_MOST_BYTES = 4096
_DYING_S = 2.0
_LOOK_EVERY_S = 0.05


def prepare_places(work_dir: Path) -> None:
    """Make the work folder of all runners of this machine, which jobs may pass and not list.

    Raises NoPlaceError if that is impossible.
    """
    locks = work_dir / LOCKS
    with _told(work_dir):
        work_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in (work_dir, locks):
            folder.mkdir(mode=0o700, exist_ok=True)
            require_access(folder, os.R_OK | os.W_OK | os.X_OK)
        if os.geteuid() == 0:
            work_dir.chmod(0o711)


@contextmanager
def _told(work_dir: Path) -> Iterator[None]:
    """Turn what the system refuses in a work folder into a sentence with the way out."""
    try:
        yield
    except OSError as error:
        state, way_out = _trouble(work_dir, error)
        raise NoPlaceError(
            f"The work folder {work_dir} cannot be used: {state}. {way_out}."
        ) from error


def _trouble(work_dir: Path, error: OSError) -> tuple[str, str]:
    elsewhere = "set CONVEYOR_WORK_DIR to a folder in which this runner's user may write"
    if not is_denied(error):
        return state_of(error), f"Mend that, or {elsewhere}"
    user = f"the user {name_of_user(os.geteuid())}"
    wanted = Path(error.filename or work_dir)
    found = next(each for each in (wanted, *wanted.parents) if os.path.lexists(each))
    owner = f"the user {name_of_user(found.lstat().st_uid)}"
    if not found.is_relative_to(work_dir):
        return f"{user} may not make it in {found} of {owner}", f"Make it, or {elsewhere}"
    what = "it" if found == work_dir else str(found)
    return (
        f"{what} belongs to {owner}, and {user} may not work in it",
        f"Start the runner as {owner}, or {elsewhere}",
    )


def place_of(name: str) -> str:
    """Return the name of a runner's folder: short, because paths of sockets have 107 bytes at most.

    HOME and TMPDIR of jobs lie below it. Programs put sockets there: multiprocessing needs 32 bytes
    for one, ssh-agent 31 and gpg-agent 27.
    """
    if len(name) <= _SHORT_NAME:
        return name
    digest = hashlib.sha256(name.encode()).digest()
    return base64.b32encode(digest).decode().lower()[:_SHORT_NAME]


def own_place(work_dir: Path, name: str) -> Path:
    """Return the folder of a runner that has taken its name, with nothing of dead attempts in it.

    Those of dead runners beside it are removed too. Raises NoPlaceError if it cannot be had.
    """
    own = work_dir / place_of(name)
    with _told(work_dir):
        _take_over_long_name(work_dir, name)
        own.mkdir(mode=0o700, exist_ok=True)
        # The heart takes its absence for the loss of the work folder.
        (own / ZYGOTE_FOLDER).mkdir(mode=0o700, exist_ok=True)
        workspace.sweep(own)
    sweep_dead_runners(work_dir)
    return own


def _take_over_long_name(work_dir: Path, name: str) -> None:
    """Rename the folder that earlier versions gave the runner, with its mirrors."""
    own, before = work_dir / place_of(name), work_dir / name
    if own == before or own.exists() or not before.is_dir():
        return
    with held_if_dead(work_dir, name) as is_dead:
        if is_dead is not False:
            before.rename(own)


def take_name(work_dir: Path, name: str, boot_id: UUID) -> tuple[UUID, ...]:
    """Take this machine's lock on a runner's name, for as long as any process of it lives.

    Returns the starts of that runner that held it before, and are dead: the last one that is known
    to have registered, and those after it, which may have.
    Raises NoPlaceError if a runner of that name is alive on this machine; one that was killed a
    moment ago is given a moment to be gone.
    """
    descriptor = name_lock(work_dir, place_of(name))
    deadline = time.monotonic() + _DYING_S
    while not locked(descriptor):
        if time.monotonic() > deadline and not is_being_swept(work_dir):
            os.close(descriptor)
            raise NoPlaceError(
                f"A runner named {name} runs on this machine already. Stop it, or give this one "
                "another name with --name."
            )
        time.sleep(_LOOK_EVERY_S)
    previous = _starts(os.pread(descriptor, _MOST_BYTES, 0))
    # Those in the middle are the least likely to have registered.
    kept = (*previous[:1], *previous[1:][-_MOST_STARTS:], boot_id)
    with _told(work_dir):
        _write_starts(descriptor, kept)
    return previous


def name_registered(work_dir: Path, name: str, boot_id: UUID) -> None:
    """Note that the start which holds the name has registered: those before it do not matter."""
    descriptor = name_lock(work_dir, place_of(name))
    try:
        _write_starts(descriptor, (boot_id,))
    finally:
        os.close(descriptor)


def _write_starts(descriptor: int, starts: Sequence[UUID]) -> None:
    text = "".join(f"{start}\n" for start in starts).encode()
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def remove_place(work_dir: Path, name: str) -> bool:
    """Remove the folder of a runner that has ended, and the lock on its name.

    Returns False, and removes nothing, while a runner of that name lives. For a name that nobody
    else takes meanwhile.
    """
    if not (work_dir / LOCKS).is_dir():
        return True
    descriptor = name_lock(work_dir, place_of(name))
    try:
        if not locked(descriptor):
            return False
        shutil.rmtree(work_dir / place_of(name), ignore_errors=True)
        (work_dir / LOCKS / f"name-{place_of(name)}").unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True


def _starts(text: bytes) -> tuple[UUID, ...]:
    try:
        return tuple(UUID(line) for line in text.decode().split())
    except ValueError:
        return ()
