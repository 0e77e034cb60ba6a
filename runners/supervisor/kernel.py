"""The few system calls of Linux that Python's standard library does not offer."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# Reference: linux/prctl.h, linux/sched.h, linux/mount.h
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_NOSUID = 0x2
_MOUNT_ATTR_NODEV = 0x4
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_IPC_RMID = 0
# Of keys, from linux/keyctl.h.
_KEYCTL_JOIN_SESSION = 1
_KEYCTL_CLEAR = 7
_KEYCTL_LINK = 8
_KEYCTL_GET_PERSISTENT = 22
_PROCESS_KEYRING = -2
_USER_KEYRING = -4
_USER_SESSION_KEYRING = -5
_OWN_USER = -1
# Calls that the C library has no function for; mount_setattr has one number everywhere.
_SYS_MOUNT_SETATTR = 442
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
_KEYCTL = _SYS_KEYCTL.get(os.uname().machine)
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_CLOCK_BOOTTIME = 7
_TFD_TIMER_ABSTIME = 1

_libc = ctypes.CDLL(None, use_errno=True)
# Without these, 64-bit addresses and flags would be cut to 32 bits.
_libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


def _checked(result: int, what: str) -> int:
    """Return the result of a call; raise OSError with errno and ``what`` when it is negative."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def prctl(option: int, value: int) -> None:
    """Set an attribute of the calling process; raise OSError when the kernel refuses."""
    _checked(_libc.prctl(option, value, 0, 0, 0), f"prctl {option}")


#: A step (see ``stage``): have the kernel kill this process when its parent dies. The call itself,
#: for a child of a fork; for a signal that there is it does not fail.
DIE_WITH_PARENT: tuple[str, Callable[..., object], tuple[Any, ...]] = (
    "die with its parent",
    _libc.prctl,
    (PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0),
)
#: Steps that give a process an empty session keyring, made by its present user and its own to use.
#: They cannot fail: a kernel without keys, or a container that refuses these calls, has none for
#: the job either.
OWN_SESSION_KEYRING: tuple[tuple[str, Callable[..., object], tuple[Any, ...]], ...] = (
    ()
    if _KEYCTL is None
    else (
        (
            "have a session keyring of its own",
            _libc.syscall,
            tuple(ctypes.c_long(each) for each in (_KEYCTL, _KEYCTL_JOIN_SESSION, 0)),
        ),
    )
)
#: A step that gives a process message queues, semaphores and shared memory of its own, which go
#: with its last process. It cannot fail: where it is refused, the machine's are used.
OWN_IPC: tuple[str, Callable[..., object], tuple[Any, ...]] = (
    "have message queues of its own",
    _libc.unshare,
    (CLONE_NEWIPC,),
)


def set_name(name: str) -> None:
    """Set the name of the calling thread that ``ps`` shows; the kernel keeps 15 bytes of it."""
    text = ctypes.create_string_buffer(name.encode())
    prctl(PR_SET_NAME, ctypes.addressof(text))


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces; raise OSError when that is not allowed."""
    _checked(_libc.unshare(flags), "unshare")


def join_mounts(descriptor: int) -> None:
    """Go to the mounts of an open mount namespace, at its root; raise OSError if not allowed."""
    _checked(_libc.setns(descriptor, CLONE_NEWNS), "setns")


def mount(source: str, target: str, *, kind: str | None, flags: int, data: str = "") -> None:
    """Mount ``source`` on ``target``; raise OSError naming the target when refused."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind is not None else None,
        flags,
        data.encode(),
    )
    _checked(result, f"mount on {target}")


def make_read_only(target: str) -> None:
    """Make the mount at ``target`` and all below it read-only, without devices and setuid.

    Raises OSError where the kernel is older than 5.12.
    """
    attributes = _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV
    wanted = ctypes.create_string_buffer(struct.pack("=QQQQ", attributes, 0, 0, 0), 32)
    path = ctypes.c_char_p(os.fsencode(target))
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        path,
        _AT_RECURSIVE,
        ctypes.byref(wanted),
        ctypes.c_size_t(32),
    )
    _checked(result, f"make {target} read-only")


def change_root(target: str) -> None:
    """Make the mount at ``target`` the root, with nothing left of the one before; raise OSError."""
    number = _SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(f"the number of pivot_root is not known for {os.uname().machine}")
    os.chdir(target)
    here = ctypes.c_char_p(b".")
    # Reference: pivot_root(2): the old root then lies over the new one, and is let go of there.
    _checked(_libc.syscall(number, here, here), "change the root")
    _checked(_libc.umount2(b".", MNT_DETACH), "let go of the old root")
    os.chdir("/")


def remove_object(kind: str, number: int) -> None:
    """Remove a System V object, of kind shm, msg or sem; one that is gone is no error."""
    if kind == "sem":
        _libc.semctl(number, 0, _IPC_RMID)
    else:
        getattr(_libc, f"{kind}ctl")(number, _IPC_RMID, None)


def _keyctl(operation: int, first: int, second: int = 0) -> int:
    """Make a call about keys; return its result, -1 where the kernel keeps none or refuses."""
    if _KEYCTL is None:
        return -1
    arguments = (ctypes.c_long(each) for each in (_KEYCTL, operation, first, second))
    return int(_libc.syscall(*arguments))


def clear_user_keys() -> None:
    """Clear all keyrings of the calling process' user that live longer than its processes.

    Those are its keyring, its session's and its persistent one. The caller must be a process that
    ends soon: its own keyring holds the persistent one afterwards.
    """
    _keyctl(_KEYCTL_CLEAR, _USER_KEYRING)
    _keyctl(_KEYCTL_CLEAR, _USER_SESSION_KEYRING)
    # As the kernel makes it.
    _keyctl(_KEYCTL_LINK, _USER_KEYRING, _USER_SESSION_KEYRING)
    persistent = _keyctl(_KEYCTL_GET_PERSISTENT, _OWN_USER, _PROCESS_KEYRING)
    if persistent >= 0:
        _keyctl(_KEYCTL_CLEAR, persistent)


def boot_now() -> float:
    """Return seconds on CLOCK_BOOTTIME: it counts suspended time and nobody can set it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_file(path: str, piece_bytes: int = 65536) -> bytes:
    """Return the content of a file of /proc, which gives it in pieces; raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(descriptor, piece_bytes):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def write_file(path: str, content: str) -> None:
    """Write a file of /proc in one call, as they want it; raise OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)


class KillFirst:
    """What is forked in this context is killed first when memory runs out: a job, not the platform.

    A new process inherits how much the kernel wants to kill it, so the caller itself bears that
    mark meanwhile; the child needs not do a thing.
    """

    _MARK = b"300"

    def __init__(self) -> None:
        self._file, self._own = -1, b""
        # Of a process that hides its memory, as supervisors do, only root may change it.
        with suppress(OSError):
            self._file = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self._own = os.read(self._file, 16).strip()

    def __enter__(self) -> None:
        self._write(self._MARK)

    def __exit__(self, *_error: object) -> None:
        self._write(self._own)

    def _write(self, mark: bytes) -> None:
        if self._own:
            with suppress(OSError):
                os.pwrite(self._file, mark, 0)


class BootTimer:
    """A timer of the kernel on CLOCK_BOOTTIME, to be polled by its descriptor ``fd``.

    The timeout of poll(2) does not count suspended time; a dead man's timer must.
    """

    def __init__(self) -> None:
        flags = os.O_CLOEXEC | os.O_NONBLOCK
        self.fd = _checked(_libc.timerfd_create(_CLOCK_BOOTTIME, flags), "timerfd_create")
        self._at: float | None = None

    def set(self, at: float | None) -> None:
        """Make ``fd`` readable at the instant ``at`` of CLOCK_BOOTTIME or before it; None: never.

        The past means at once. A timer that is set to an earlier time stays so: it then wakes its
        owner once for nothing, which is less than to set it anew each time.
        """
        set_to = self._at
        if at == set_to or (at is not None and set_to is not None and boot_now() < set_to < at):
            return
        # Zero would stop the timer.
        instant = max(at, 0.000001) if at is not None else 0.0
        whole = int(instant)
        spec = struct.pack("=qqqq", 0, 0, whole, int((instant - whole) * 1e9))
        result = _libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, spec, None)
        _checked(result, "timerfd_settime")
        self._at = at
