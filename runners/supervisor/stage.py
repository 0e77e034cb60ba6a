"""One program under supervision: what to start, as whom, where; and the start itself."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from runners.supervisor import kernel, namespaces
from runners.supervisor.mounts import Mount

_LIMITS = {
    "processes": resource.RLIMIT_NPROC,
    "open_files": resource.RLIMIT_NOFILE,
    "file_bytes": resource.RLIMIT_FSIZE,
    "core_bytes": resource.RLIMIT_CORE,
}
CANNOT_START = 126
_STREAMS = (1, 2)
_END_OF_DESCRIPTORS = os.sysconf("SC_OPEN_MAX")

#: What a process does to become a program: the words for a failure, a call and its arguments.
Step = tuple[str, Callable[..., object], tuple[Any, ...]]


class Stage(NamedTuple):
    """A program to run to the death of its whole tree.

    ``uid``, ``gid`` and ``groups`` are taken on before anything of the program runs; None keeps
    the supervisor's. ``uid_is_own`` says that every process of ``uid`` belongs to this tree.
    ``limits`` are names of ``_LIMITS`` with their values. ``wrappers`` counts the sandbox
    processes above the program, which are not asked to end. ``mounts`` are all that is there in a
    sandbox of the supervisor's own; None: no such sandbox. ``accounts`` is a folder whose files lie
    over the machine's accounts, if the supervisor may do that. ``own_ipc`` gives it message queues,
    semaphores and shared memory of its own, if the supervisor may do that.
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
    accounts: str = ""
    own_ipc: bool = False

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


def start(stage: Stage, kill_first: kernel.KillFirst, *, stdout: int, stderr: int) -> Started:
    """Fork the stage's first process; every guard of the caller must be armed by now.

    The caller's descriptors 0, 1 and 2 are taken, 0 by /dev/null, and it ignores no signal: what it
    handles, the kernel sets back when the program is executed.
    """
    if stage.no_new_privileges:
        # Inherited and never lost again; the caller itself gains privileges by no program.
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    failure, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    # Each page of memory that the child is the first to touch has to be copied. So it only makes
    # calls, which lie here beside each other, found and with all their arguments.
    before = (
        *_keep_only(stdout, stderr, told),
        ("lead a session", os.setsid, ()),
        # While it is root, whose keys no job can use up.
        *kernel.OWN_SESSION_KEYRING,
        *((kernel.OWN_IPC,) if stage.own_ipc else ()),
        *_limit(stage.limits),
        *_take_identity(stage),
        # After the change of user, which clears it.
        kernel.DIE_WITH_PARENT,
    )
    after = (
        *_enter(stage, told),
        (f"execute {stage.argv[0]}", os.execve, (stage.argv[0], stage.argv, stage.environment)),
    )
    supervisor = os.getpid()
    with kill_first:
        pid = os.fork()
        if pid == 0:
            _become(before, after, supervisor, told)
    os.close(told)
    return Started(pid, os.pidfd_open(pid), failure)


def _become(before: Sequence[Step], after: Sequence[Step], supervisor: int, told: int) -> NoReturn:
    """Turn the forked child into the program; say into ``told`` why it cannot be.

    Between the two it dies with its supervisor, or has lost it already.
    """
    step = ""
    try:
        for step, call, arguments in before:  # noqa: B007 - told after a failure
            call(*arguments)
        if os.getppid() != supervisor:
            os._exit(CANNOT_START)
        for step, call, arguments in after:  # noqa: B007 - as above
            call(*arguments)
    except BaseException as error:  # The child of a fork must never return to its caller's code.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        with suppress(OSError):
            os.write(told, f"could not {step}: {reason}".encode())
    finally:
        os._exit(CANNOT_START)


def _keep_only(stdout: int, stderr: int, told: int) -> Iterator[Step]:
    """Make 1 and 2 the program's streams; close all others but 0 and ``told``."""
    for target, source in zip(_STREAMS, (stdout, stderr), strict=True):
        yield "take its streams", os.dup2, (source, target)
    yield "close what is open", os.closerange, (_STREAMS[-1] + 1, told)
    yield "close what is open", os.closerange, (told + 1, _END_OF_DESCRIPTORS)


def _limit(limits: Mapping[str, int]) -> Iterator[Step]:
    """Lower resource limits; a limit above what the supervisor has stays what it has."""
    for name, value in limits.items():
        which = _LIMITS[name]
        hard = resource.getrlimit(which)[1]
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        yield f"limit {name}", resource.setrlimit, (which, (wanted, wanted))


def _take_identity(stage: Stage) -> Iterator[Step]:
    """Become the stage's user for good; root stays root only where the stage names no user."""
    if stage.uid is None:
        return
    gid = stage.uid if stage.gid is None else stage.gid
    what = "take on the job's user"
    yield what, os.setgroups, (stage.groups,)
    yield what, os.setresgid, (gid, gid, gid)
    yield what, os.setresuid, (stage.uid, stage.uid, stage.uid)


def _enter(stage: Stage, told: int) -> Iterator[Step]:
    if stage.mounts is not None:
        yield "enter a sandbox of namespaces", namespaces.enter, (stage.mounts, told)
    yield f"enter the folder {stage.folder}", os.chdir, (stage.folder,)
