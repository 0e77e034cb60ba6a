"""One program under supervision: what to start, as whom, where; and the start itself."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from runners.supervisor import kernel, namespaces
from runners.supervisor.mounts import Mount

# What the kernel should kill first when memory runs out: the job, not the platform.
_OOM_SCORE = "300"
_LIMITS = {
    "processes": resource.RLIMIT_NPROC,
    "open_files": resource.RLIMIT_NOFILE,
    "file_bytes": resource.RLIMIT_FSIZE,
    "core_bytes": resource.RLIMIT_CORE,
}
# Dispositions that Python or the zygote changed and a program must not inherit.
_RESET = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
)
CANNOT_START = 126


class Stage(NamedTuple):
    """A program to run to the death of its whole tree.

    ``uid``, ``gid`` and ``groups`` are taken on before anything of the program runs; None keeps
    the supervisor's. ``uid_is_own`` says that every process of ``uid`` belongs to this tree.
    ``limits`` are names of ``_LIMITS`` with their values. ``wrappers`` counts the sandbox
    processes above the program, which are not asked to end. ``mounts`` are all that is there in a
    sandbox of the supervisor's own; None: no such sandbox.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str
    timeout_s: float
    grace_s: float
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    uid_is_own: bool = False
    no_new_privileges: bool = False
    limits: Mapping[str, int] = {}
    wrappers: int = 0
    mounts: tuple[Mount, ...] | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the fields as JSON can carry them."""
        return self._asdict()

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any]) -> Stage:
        """Return the stage that ``to_wire`` described; raise TypeError for other fields."""
        arguments: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        if arguments.get("mounts") is not None:
            arguments["mounts"] = tuple(Mount(*each) for each in arguments["mounts"])
        return cls(**arguments)


class Started(NamedTuple):
    """A started program; ``failure`` is a pipe that says why it could not be executed."""

    pid: int
    pinned: int
    failure: int

    def why_not(self) -> str:
        """Return the sentence of a start that failed, else ""; call it once, after the death."""
        try:
            return os.read(self.failure, 4096).decode(errors="replace")
        finally:
            os.close(self.failure)


def start(stage: Stage, *, stdout: int, stderr: int) -> Started:
    """Fork the stage's first process; every guard of the caller must be armed by now."""
    supervisor = os.getpid()
    failure, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        _become(stage, (stdout, stderr, told), supervisor)
    os.close(told)
    return Started(pid, os.pidfd_open(pid), failure)


def _become(stage: Stage, streams: tuple[int, int, int], supervisor: int) -> NoReturn:
    """Turn the forked child into the program; say on the third stream why it cannot be."""
    step = "prepare the process"
    try:
        told = _keep_only(*streams)
        os.setsid()
        _restore_signals()
        _limit(stage.limits)
        step = "take on the job's user"
        _take_identity(stage)
        _die_with(supervisor)
        if stage.mounts is not None:
            step = "enter a sandbox of namespaces"
            namespaces.enter(stage.mounts, told)
        step = f"enter the folder {stage.folder}"
        os.chdir(stage.folder)
        step = f"execute {stage.argv[0]}"
        os.execve(stage.argv[0], stage.argv, dict(stage.environment))  # noqa: S606 - no shell
    except BaseException as error:  # The child of a fork must never return to its caller's code.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        with suppress(OSError):
            os.write(told, f"could not {step}: {reason}".encode())
    finally:
        os._exit(CANNOT_START)


def _keep_only(stdout: int, stderr: int, told: int) -> int:
    """Make 0, 1, 2 the program's streams, 3 the failure pipe, and close everything else."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    # Moved above the numbers to be taken, so that none overwrites another.
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 4) for each in (nothing, stdout, stderr, told)]
    for target, source in enumerate(high):
        os.dup2(source, target, inheritable=target < 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return 3


def _restore_signals() -> None:
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _limit(limits: Mapping[str, int]) -> None:
    """Lower resource limits; a limit above what the supervisor has stays what it has."""
    for name, value in limits.items():
        which = _LIMITS[name]
        hard = resource.getrlimit(which)[1]
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (wanted, wanted))


def _take_identity(stage: Stage) -> None:
    """Become the stage's user for good; root stays root only where the stage names no user."""
    os.umask(0o077)
    with suppress(OSError):
        kernel.write_file("/proc/self/oom_score_adj", _OOM_SCORE)
    if stage.no_new_privileges:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if stage.uid is None:
        return
    gid = stage.uid if stage.gid is None else stage.gid
    os.setgroups(stage.groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(stage.uid, stage.uid, stage.uid)


def _die_with(supervisor: int) -> None:
    """Be killed when the supervisor dies; set after the change of user, which clears it."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(CANNOT_START)
