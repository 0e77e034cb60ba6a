"""Children of a runner's parent: forked, linked, and forked again when they die."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runners.process import guard
from runners.process.links import Link

logger = logging.getLogger(__name__)

_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 5.0
_STEADY_S = 10.0
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Child:
    """A living child and the parent's end of the link to it, None if it speaks to others only."""

    role: str
    pid: int
    link: Link | None
    born_at: float


class Delay:
    """How long to wait before a role is filled again: longer each time it ends early."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, lived_s: float) -> float:
        """Return the seconds to wait, for a child that lived so long."""
        self._deaths = 0 if lived_s >= _STEADY_S else self._deaths + 1
        if not self._deaths:
            return 0.0
        return min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** (self._deaths - 1))


def fork_child(role: str, run: Callable[[Link], int | None], *, close: Callable[[], None]) -> Child:
    """Fork a child that calls ``run`` with its end of a new link and exits with what it returns.

    ``close`` is called in the child: it lets go of what only the parent may hold.
    """
    ours, theirs = Link.pair()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(role, lambda: run(theirs), before=lambda: _leave(parent, ours, close))
    theirs.close()
    return Child(role, pid, ours, guard.now())


def _leave(parent: int, ours: Link, close: Callable[[], None]) -> None:
    guard.die_with(parent)
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_IGN if number != signal.SIGCHLD else signal.SIG_DFL)
    ours.close()
    close()


def _be_child(role: str, run: Callable[[], int | None], *, before: Callable[[], None]) -> None:
    code = 1
    try:
        guard.set_name(f"conveyor-{role.replace(' ', '')}")
        before()
        code = run() or 0
    except BaseException:
        # The last frame of the process: nothing above it may see another process' exception.
        logger.exception("The %s of this runner ends by an error.", role)
    finally:
        os._exit(code)


def reap() -> Iterable[tuple[int, str]]:
    """Yield the id of each child that has ended, with how it ended in words."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        yield pid, f"exit code {code}" if code >= 0 else f"signal {-code}"
