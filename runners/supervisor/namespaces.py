"""A sandbox of user, mount and process namespaces for machines that lack bubblewrap."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Sequence
from contextlib import suppress

from runners.supervisor import kernel

_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV


def enter(hidden: Sequence[str], kept: Sequence[str], failure: int) -> None:
    """Return in a new process whose first process it sees as number 1, and nothing outside.

    The caller stays behind as a waiting parent that ends as the new tree ends. ``hidden`` folders
    are empty inside, ``kept`` ones beneath them are shown. The job keeps its own user, without
    any capability once it executes a program. Raises OSError where namespaces are not allowed.
    """
    uid, gid = os.getuid(), os.getgid()
    # Else root owns the files of this process in /proc, and its user map cannot be written.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    _map_user(uid, gid)
    first = os.fork()
    if first:
        os.close(failure)
        _end_like(first)
    _die_with_parent()
    _rearrange(hidden, kept)
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


def _rearrange(hidden: Sequence[str], kept: Sequence[str]) -> None:
    kernel.mount("none", "/", kind=None, flags=kernel.MS_REC | kernel.MS_PRIVATE)
    shown = {path: os.open(path, os.O_PATH | os.O_NOFOLLOW) for path in kept}
    for path in hidden:
        _cover(path)
    for path, descriptor in shown.items():
        _make_folders(path)
        source = f"/proc/self/fd/{descriptor}"
        kernel.mount(source, path, kind=None, flags=kernel.MS_BIND | kernel.MS_REC)
        os.close(descriptor)
    kernel.mount("proc", "/proc", kind="proc", flags=_PLAIN | kernel.MS_NOEXEC)


def _cover(path: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if is_folder:
        kernel.mount("none", path, kind="tmpfs", flags=_PLAIN, data="mode=0711,size=1m")
    else:
        kernel.mount("/dev/null", path, kind=None, flags=kernel.MS_BIND)


def _make_folders(path: str) -> None:
    parts = path.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        with suppress(FileExistsError):
            os.mkdir("/" + "/".join(parts[:count]), 0o711)  # noqa: PTH102 - pathlib is not loaded


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
