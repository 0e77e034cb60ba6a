"""What namespaces do for jobs: accounts of their own, and a sandbox where bubblewrap is missing."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress

from runners.supervisor import kernel
from runners.supervisor.mounts import Mount

#: The files of the machine's accounts.
ACCOUNT_FILES = ("passwd", "group")

_SETTINGS = "/etc"
_NAMESPACES = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV
_SHOWING = ("read-only", "writable")
# Where the new root is built; any folder would do, for nothing of the old one stays.
_ROOT = "/tmp"  # noqa: S108 - no file is made there before it is a mount of our own
_NOTHING = "/dev/null"
_DEVICES = (_NOTHING, "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)


class AccountsSeen:
    """Which accounts this process sees, and all that it starts: the machine's unless told."""

    def __init__(self) -> None:
        self._folder = ""
        self._machines = -1

    def show(self, folder: str) -> None:
        """Lay the files of a folder over those in /etc, which nobody else sees; "" uncovers them.

        Where this process may not mount, the machine's are seen. Raises OSError if those cannot be
        uncovered again.
        """
        if folder == self._folder:
            return
        if self._machines >= 0:
            kernel.join_mounts(self._machines)
        self._folder = folder
        if folder:
            with suppress(OSError):
                self._cover(folder)

    def _cover(self, folder: str) -> None:
        machines = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.unshare(kernel.CLONE_NEWNS)
        except OSError:
            os.close(machines)
            raise
        if self._machines >= 0:
            os.close(self._machines)
        self._machines = machines
        # What is mounted elsewhere later is seen here too, and what is unmounted there, let go of.
        kernel.mount("none", "/", kind=None, flags=kernel.MS_REC | kernel.MS_SLAVE)
        for name in ACCOUNT_FILES:
            target = f"{_SETTINGS}/{name}"
            kernel.mount(f"{folder}/{name}", target, kind=None, flags=kernel.MS_BIND)
            kernel.make_read_only(target)


def enter(mounts: Sequence[Mount], failure: int) -> None:
    """Return in a new process whose first process it sees as number 1, and nothing outside.

    The caller stays behind as a waiting parent that ends as the new tree ends. Of the machine's
    files there is what ``mounts`` show. The job keeps its own user, without any capability once it
    executes a program. Raises OSError where namespaces are not allowed.
    """
    uid, gid = os.getuid(), os.getgid()
    # Else root owns the files of this process in /proc, and its user map cannot be written.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.unshare(_NAMESPACES)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    _map_user(uid, gid)
    # Process 1 stays a copy of the supervisor, into which the job may not look.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    first = os.fork()
    if first:
        os.close(failure)
        _end_like(first)
    _die_with_parent()
    _rearrange(mounts)
    second = os.fork()
    if second:
        os.close(failure)
        _reap_until(second)
    os.setsid()


def _map_user(uid: int, gid: int) -> None:
    # Reference: user_namespaces(7): setgroups must be denied before an unprivileged gid_map.
    kernel.write_file("/proc/self/setgroups", "deny")
    kernel.write_file("/proc/self/uid_map", f"{uid} {uid} 1")
    kernel.write_file("/proc/self/gid_map", f"{gid} {gid} 1")


def _die_with_parent() -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != 0:  # Seen from a new process namespace a living parent has no number.
        os._exit(1)


def _rearrange(mounts: Sequence[Mount]) -> None:
    """Build a root of those mounts in memory and leave everything else behind."""
    kernel.mount("none", "/", kind=None, flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # Opened first: what is built covers some of them.
    shown = {each.source: each for each in mounts if each.kind in _SHOWING}
    sources = {path: _open(each) for path, each in shown.items()}
    sources |= {path: os.open(path, os.O_PATH) for path in _DEVICES}
    _mount_memory(_ROOT)
    for each in mounts:
        _put(each, f"{_ROOT}{each.target}", sources)
    for descriptor in sources.values():
        os.close(descriptor)
    kernel.change_root(_ROOT)


def _open(mount: Mount) -> int:
    # What a job may write to, it may have replaced by a symlink.
    only_itself = os.O_NOFOLLOW if mount.kind == "writable" else 0
    return os.open(mount.source, os.O_PATH | only_itself)


def _put(mount: Mount, target: str, sources: Mapping[str, int]) -> None:
    if mount.kind == "link":
        _make_folders(target.rpartition("/")[0])
        os.symlink(mount.source, target)  # noqa: PTH211 - pathlib is not loaded
    elif mount.kind in _SHOWING:
        _bind(sources[mount.source], target, read_only=mount.kind == "read-only")
    elif mount.kind == "nothing":
        _bind(sources[_NOTHING], target)
    else:
        _make_folders(target)
        _fill(mount.kind, target, sources)


def _fill(kind: str, target: str, sources: Mapping[str, int]) -> None:
    if kind == "empty":
        _mount_memory(target)
    elif kind == "proc":
        kernel.mount("proc", target, kind="proc", flags=_PLAIN | kernel.MS_NOEXEC)
    elif kind == "dev":
        _mount_memory(target)
        for path in _DEVICES:
            _bind(sources[path], f"{target}/{path.rpartition('/')[2]}")
        for name, said in _DEVICE_LINKS:
            os.symlink(said, f"{target}/{name}")  # noqa: PTH211 - as above
        for name in ("shm", "pts"):
            os.mkdir(f"{target}/{name}", 0o755)  # noqa: PTH102 - pathlib is not loaded
        kernel.mount(
            "devpts",
            f"{target}/pts",
            kind="devpts",
            flags=kernel.MS_NOSUID | kernel.MS_NOEXEC,
            data="newinstance,ptmxmode=0666,mode=620",
        )


def _bind(source: int, target: str, *, read_only: bool = False) -> None:
    if stat.S_ISDIR(os.fstat(source).st_mode):
        _make_folders(target)
    else:
        _make_folders(target.rpartition("/")[0])
        with suppress(OSError):  # It is there already, in something that is shown.
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    path = f"/proc/self/fd/{source}"
    kernel.mount(path, target, kind=None, flags=kernel.MS_BIND | kernel.MS_REC)
    if read_only:
        kernel.make_read_only(target)


def _mount_memory(target: str) -> None:
    kernel.mount("none", target, kind="tmpfs", flags=_PLAIN, data="mode=0755")


def _make_folders(path: str) -> None:
    parts = path.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        with suppress(FileExistsError):
            os.mkdir("/" + "/".join(parts[:count]), 0o755)  # noqa: PTH102 - pathlib is not loaded


def _end_like(pid: int) -> None:
    """Wait for the namespace to end and end in the same way."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def _reap_until(pid: int) -> None:
    """Be process 1: bury every orphan; when ``pid`` ends, end too, and the kernel kills the rest.

    A first process cannot die of a signal to itself, so that a signal's death is told as 128 + n.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        buried, status = os.wait()
        if buried == pid:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
