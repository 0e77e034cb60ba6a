"""The folders of one attempt: fresh, private, removed afterwards.

Layout beneath the work folder, all of it owned by the job's user and closed to others. The
workspace alone has the usual permissions, which go into the packages that are made of it; the
folder above it keeps others out::

    <attempt>/workspace  where the commands run
    <attempt>/home       HOME
    <attempt>/tmp        TMPDIR
    <attempt>/job        what the platform wrote: scripts, git's configuration, secret files; and
                         what is handed on: captured outputs, the file of $CONVEYOR_OUTPUT

There are as few of them as serve: what a short job costs here is making and removing them.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from runners.executor.accounts import remove_dead
from runners.executor.removal import remove_tree, take_over
from runners.executor.room import CLOSED, MISSING, REMOVED, shortage
from runners.executor.traces import entries_of
from runners.supervisor.processes import sweep as sweep_processes
from runners.supervisor.wire import write_all

logger = logging.getLogger(__name__)

#: The one that the runner writes to and reads from, which it holds open.
OURS_TOO = "job"
FOLDERS = ("workspace", "home", "tmp", OURS_TOO)
_PACKED = "workspace"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ATTEMPT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]{0,254}")


class WorkDirError(OSError):
    """The work folder cannot serve jobs; the sentence says why and what would help."""


class NotReadableError(Exception):
    """A file of the job is not a plain file of its own, or is too large."""


class NotWholeError(Exception):
    """A file of the job was not written to its end."""


def prepare_work_dir(path: Path, *, other_users: bool) -> None:
    """Make the work folder, passable for other users if jobs run as such.

    Raises WorkDirError when a folder above it keeps them out.
    """
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o711 if other_users else 0o700)
    if not other_users:
        return
    for folder in path.resolve().parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise WorkDirError(
                f"Jobs of other users cannot reach the work folder {path}, because {folder} is "
                "private. Set CONVEYOR_WORK_DIR to a folder such as /var/lib/conveyor/work."
            )


class Workspace:
    """The folders of one attempt. Files are reached through open folders, never by paths."""

    def __init__(
        self, work_dir: Path, attempt_id: str, *, uid: int | None, gid: int | None, seen: str = ""
    ):
        """Make the folders; raise ValueError for an id that is no name, OSError as the disk does.

        ``uid`` and ``gid`` are the owner to be, None the present user. ``seen`` is the path at
        which the job sees the attempt's folder, if that is another.
        """
        if not _ATTEMPT.fullmatch(attempt_id):
            raise ValueError(f"{attempt_id!r} is no UUID and cannot name an attempt")
        self.path = work_dir / attempt_id
        self._prefix = seen or str(self.path)
        self._owner = None if uid is None else (uid, uid if gid is None else gid)
        self._top = self._ours = -1
        self._known: list[str] = []
        os.mkdir(self.path, 0o700)  # noqa: PTH102 - one call, in the path of every job
        try:
            self._fill()
        except OSError:
            self.remove()
            raise

    def _fill(self) -> None:
        top = self._top = os.open(self.path, _FOLDER)
        for name in FOLDERS:
            os.mkdir(name, 0o700, dir_fd=top)
            if name == _PACKED:
                os.chmod(name, 0o755, dir_fd=top)  # noqa: S103 - see above
            elif name == OURS_TOO:
                self._ours = os.open(name, _FOLDER, dir_fd=top)
            if self._owner is not None:
                # Nobody else can be here yet, to put something in its place.
                os.chown(name, *self._owner, dir_fd=top, follow_symlinks=False)
        self._give(top)

    def _give(self, descriptor: int) -> None:
        if self._owner is not None:
            os.fchown(descriptor, *self._owner)

    @property
    def seen(self) -> str:
        """The path of the attempt's folder, as the job sees it."""
        return self._prefix

    def folder(self, name: str) -> str:
        """Return the path of one of ``FOLDERS``, as the job sees it."""
        return f"{self._prefix}/{name}"

    def write(self, name: str, content: bytes, *, mode: int = 0o400) -> str:
        """Write a file for the job into ``job`` and return its path.

        Raises ValueError for a name with a path.
        """
        if not _FILE.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a file")
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=self._ours)
        self._known.append(name)
        try:
            write_all(descriptor, content)
            os.fchmod(descriptor, mode)
            self._give(descriptor)
        finally:
            os.close(descriptor)
        return f"{self._prefix}/{OURS_TOO}/{name}"

    def shortage(self) -> str:
        """Return what the disk lacks for another file, or "" if it lacks nothing."""
        # A job can remove its own folders only, unless it runs as the runner's user.
        removed = not os.fstat(self._ours).st_nlink and self.path.parent.exists()
        return REMOVED if removed else shortage(self._ours)

    def damage(self) -> str:
        """Return what the job did to its own folders, so that files of ``job`` are lost, or ""."""
        for descriptor in (self._top, self._ours):
            facts = os.fstat(descriptor)
            if not facts.st_nlink:
                return REMOVED
            if facts.st_mode & 0o700 != 0o700:
                return CLOSED
        missing = [name for name in self._known if not os.access(name, os.F_OK, dir_fd=self._ours)]
        return MISSING if missing else ""

    def read(self, name: str, *, limit_bytes: int, end: bytes = b"") -> bytes | None:
        """Return what the job wrote into a file of ``job``, or None when there is none.

        Raises NotReadableError for a symlink, a hard link, a pipe, another user's file, and for
        more than ``limit_bytes``; NotWholeError for a file without its end mark ``end``, which is
        not returned and does not count.
        """
        try:
            descriptor = os.open(name, _READ_FILE, dir_fd=self._ours)
        except FileNotFoundError as error:
            if end and not os.fstat(self._ours).st_nlink:
                raise NotWholeError("its folder was removed") from error
            return None
        except OSError as error:
            raise NotReadableError(self.damage() or "it is not a plain file") from error
        self._known.append(name)
        try:
            self._check(os.fstat(descriptor))
            content = os.read(descriptor, limit_bytes + len(end) + 1)
        finally:
            os.close(descriptor)
        if len(content) > limit_bytes + len(end):
            raise NotReadableError(f"it is larger than {limit_bytes} bytes")
        if not content.endswith(end):
            raise NotWholeError("it was not written to its end")
        return content.removesuffix(end)

    def _check(self, facts: os.stat_result) -> None:
        owner = os.geteuid() if self._owner is None else self._owner[0]
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1 or facts.st_uid != owner:
            raise NotReadableError("it is not a plain file of the job's own")

    def remove(self, alive: Callable[[], object] = lambda: None) -> None:
        """Remove everything; raise OSError naming what the kernel does not let go.

        That is out of the job's user's reach then. ``alive`` is called for every entry.
        """
        only_known = self._remove_known()
        for descriptor in (self._ours, self._top):
            if descriptor >= 0:
                os.close(descriptor)
        self._top = self._ours = -1
        if not only_known:
            _remove_beneath(self.path.parent, self.path.name, alive)

    def _remove_known(self) -> bool:
        """Remove what is known to be there; return False when there is anything else.

        Most jobs leave nothing, so that nothing needs to be looked for. No symlink is followed: a
        name means an entry of a folder that is open, and another thing in its place is left.
        """
        if self._ours < 0:
            return False
        try:
            for name in self._known:
                os.unlink(name, dir_fd=self._ours)
            for name in FOLDERS:
                os.rmdir(name, dir_fd=self._top)
            os.rmdir(self.path)  # noqa: PTH106 - as above
        except OSError:
            return False
        return True


def leftovers(work_dir: Path) -> list[str]:
    """Return the ids of attempts whose folders lie in the work folder."""
    with suppress(FileNotFoundError), os.scandir(work_dir) as entries:
        return sorted(
            entry.name
            for entry in entries
            if _ATTEMPT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )
    return []


def left_of(folder: Path, uid: int) -> list[str]:
    """Return the names of what ``uid`` owns in a folder; nothing where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        descriptor = os.open(folder, _FOLDER)
        try:
            return entries_of(descriptor, uid)
        finally:
            os.close(descriptor)
    return []


def sweep(work_dir: Path, keep: Collection[str] = ()) -> list[str]:
    """Kill and remove what dead runners left of attempts other than ``keep``; return their ids.

    The work folder must belong to one runner. Accounts of slots that were killed are removed as
    well, if that is possible. Raises OSError for what cannot be killed, or put out
    of reach of the jobs' users; see ``discard``.
    """
    remove_dead(work_dir)
    left = [attempt for attempt in leftovers(work_dir) if attempt not in keep]
    if left:
        sweep_processes(left)
        discard(work_dir, left)
    return left


def discard(work_dir: Path, names: Iterable[str]) -> None:
    """Remove what dead attempts left in a work folder, with a warning for what stays.

    Raises OSError for what cannot even be put out of reach of the jobs' users. Nothing is left in
    a folder that is gone.
    """
    try:
        folder = os.open(work_dir, _FOLDER)
    except FileNotFoundError:
        return
    try:
        for name in names:
            take_over(folder, name)
            try:
                remove_tree(folder, name)
            except OSError as error:
                if not _is_out_of_reach(folder, name):
                    raise
                logger.warning(
                    "What an attempt left in %s cannot be removed, and is closed to all jobs: %s",
                    work_dir / name,
                    error,
                )
    finally:
        os.close(folder)


def _is_out_of_reach(folder: int, name: str) -> bool:
    facts = os.lstat(name, dir_fd=folder)
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()


def _remove_beneath(folder: Path, name: str, alive: Callable[[], object]) -> None:
    try:
        descriptor = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return
    try:
        take_over(descriptor, name)
        remove_tree(descriptor, name, alive=alive)
    finally:
        os.close(descriptor)
