"""Reading the process table and killing what may not live on."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress

from runners.supervisor.kernel import read_file

_GONE = (ProcessLookupError, FileNotFoundError, PermissionError)
# A killer that a hostile process stopped is given up after this time and another is sent.
_KILLER_MS = 200


def children_of(pid: int) -> list[int]:
    """Return the ids of a process' children, zombies included; [] when it is gone."""
    found: list[int] = []
    with suppress(*_GONE):
        for task in _numbers(f"/proc/{pid}/task"):
            with suppress(*_GONE):
                found.extend(map(int, read_file(f"/proc/{pid}/task/{task}/children").split()))
    return found


def descendants_of(pid: int, *, below: int = 0) -> dict[int, int]:
    """Return {process: its parent} of everything beneath ``pid``, itself not included.

    ``below`` leaves out that many generations of wrappers (a sandbox's own processes).
    """
    found: dict[int, int] = {}
    layer = [pid]
    depth = 0
    while layer:
        pairs = [(child, parent) for parent in layer for child in children_of(parent)]
        layer = [child for child, _parent in pairs if child not in found]
        if depth >= below:
            found.update(pairs)
        depth += 1
    return found


def parent_of(pid: int) -> int | None:
    """Return the id of a process' parent, or None when it is gone."""
    with suppress(*_GONE):
        return int(read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
    return None


def signal_processes(family: dict[int, int], number: int) -> None:
    """Signal each process of {process: parent} that still has that parent.

    A process found in a listing may be gone and its number reused; the descriptor pins it while
    its parent is compared.
    """
    for pid, parent in family.items():
        with suppress(*_GONE):
            pinned = os.pidfd_open(pid)
            try:
                if parent_of(pid) == parent:
                    signal.pidfd_send_signal(pinned, number)
            finally:
                os.close(pinned)


def kill_children(pids: Iterable[int]) -> None:
    """Kill unreaped children of the calling process, each with its process group if it leads one.

    Neither number can be reused before the caller reaps the child.
    """
    for pid in pids:
        with suppress(*_GONE):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
        with suppress(*_GONE):
            os.kill(pid, signal.SIGKILL)


def destroy_all_children(uid: int | None) -> dict[int, int]:
    """Kill and reap until the caller, a subreaper, has no child; return {pid: wait status}.

    A dead process' children become the subreaper's before it can be reaped, so that "no child"
    means that the whole tree is dead. With ``uid``, which then must belong to this tree alone, all
    its processes are killed in one call of the kernel, which no fork bomb outruns.
    """
    statuses: dict[int, int] = {}
    while reap(statuses):
        if uid is not None:
            kill_all_of(uid)
        kill_children(children_of(os.getpid()))
        with suppress(ChildProcessError):
            pid, status = os.waitpid(-1, 0)
            statuses[pid] = status
    return statuses


def reap(statuses: dict[int, int]) -> bool:
    """Add the {pid: wait status} of dead children; return False when no child is left at all."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return True
            statuses[pid] = status
    except ChildProcessError:
        return False


def kill_all_of(uid: int) -> None:
    """Kill every process of ``uid`` at one instant; the caller must be root and uid must not.

    A child takes on that uid for good, since the kernel then lets ``kill(-1)`` reach no other.
    """
    if uid <= 0:
        raise ValueError("only the processes of an unprivileged user can be killed together")
    pid = os.fork()
    if pid == 0:
        _kill_as(uid)
    pinned = os.pidfd_open(pid)
    try:
        waiting = select.poll()
        waiting.register(pinned, select.POLLIN)
        if not waiting.poll(_KILLER_MS):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(pinned)


def _kill_as(uid: int) -> None:
    try:
        os.setresuid(uid, uid, uid)
        if os.getresuid() == (uid, uid, uid):
            os.kill(-1, signal.SIGKILL)
    finally:
        os._exit(0)


def owned_by(uid: int) -> list[int]:
    """Return the processes, zombies left out, that run as ``uid``."""
    found = []
    for pid in _numbers():
        # Not the owner of the folder in /proc: a process can make that root's.
        with suppress(*_GONE):
            lines = read_file(f"/proc/{pid}/status").splitlines()
            facts = dict(line.split(b":", 1) for line in lines)
            zombie = facts[b"State"].split()[0] == b"Z"
            if not zombie and str(uid).encode() in facts[b"Uid"].split():
                found.append(pid)
    return found


def carrying(cookies: Collection[str]) -> list[int]:
    """Return the processes whose environment names one of these attempts."""
    marks = [f"CONVEYOR_ATTEMPT={cookie}\0".encode() for cookie in cookies]
    found = []
    for pid in _numbers():
        with suppress(*_GONE):
            environment = read_file(f"/proc/{pid}/environ")
            if any(mark in environment for mark in marks):
                found.append(pid)
    return found


def sweep(cookies: Collection[str], uid: int | None = None, *, rounds: int = 50) -> int:
    """Kill what carries an attempt's cookie, or runs as ``uid``; return how many were killed.

    For trees whose supervisor is dead. ``uid`` must belong to those attempts alone. A round ends
    when its victims are dead; OSError is raised when some are left after all rounds.
    """
    killed = 0
    for _round in range(rounds):
        victims = set(carrying(cookies))
        if uid is not None:
            victims.update(owned_by(uid))
        victims.discard(os.getpid())
        if not victims:
            return killed
        killed += len(victims)
        _kill_and_wait(victims)
    raise OSError(f"processes of {', '.join(cookies)} could not be killed")


def _kill_and_wait(victims: Iterable[int]) -> None:
    waiting = select.poll()
    pinned: list[int] = []
    for pid in victims:
        with suppress(*_GONE):
            pinned.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(pinned[-1], signal.SIGKILL)
            waiting.register(pinned[-1], select.POLLIN)
    with suppress(OSError):
        waiting.poll(_KILLER_MS)
    for descriptor in pinned:
        os.close(descriptor)


def _numbers(folder: str = "/proc") -> list[int]:
    with os.scandir(folder) as entries:
        return [int(entry.name) for entry in entries if entry.name.isdigit()]
