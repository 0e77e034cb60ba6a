"""The parent process of an orchestrator: it starts, restarts and ends the child processes.

Like the parent of a runner it has no thread and no database connection when it forks.
"""

from __future__ import annotations

import logging
import selectors
import signal
from collections.abc import Callable, Mapping

from runners.process import guard
from runners.process.children import Child, fork_child
from runners.process.crew import Crew
from runners.process.links import Link
from runners.process.messages import Message
from runners.process.signals import Signals

logger = logging.getLogger(__name__)

#: The main function of a child, with its link to the parent; returns the exit code.
Work = Callable[[Link], int | None]

#: Seconds for children to finish their current work.
LEAVE_S = 8.0


class Orchestrator:
    """One orchestrator, from its start to its end."""

    def __init__(self, works: Mapping[str, Work]) -> None:
        self._works = dict(works)
        self._signals = Signals()
        self._crew = Crew(self._start, _ignore, _forget)
        self._leaving = False
        self._deadline: float | None = None

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit code of the command."""
        guard.settle_memory()
        with self._signals:
            self._crew.selector.register(self._signals, selectors.EVENT_READ, self._signalled)
            self._crew.employ(self._works)
            while not self._leaving or len(self._crew):
                self._turn()
        return 0

    def _turn(self) -> None:
        for key, _ in self._crew.selector.select(self._timeout()):
            act: Callable[[], None] = key.data
            act()
        self._crew.start_due()
        if self._deadline is not None and guard.now() >= self._deadline:
            self._deadline = None
            self._crew.signal_all(signal.SIGKILL)

    def _timeout(self) -> float | None:
        dues = [due for due in (self._deadline, self._crew.next_due) if due is not None]
        return max(0.0, min(dues) - guard.now()) if dues else None

    def _start(self, role: str) -> Child:
        return fork_child(role, self._works[role], close=self._close_in_child)

    def _close_in_child(self) -> None:
        self._signals.close()
        self._crew.close_links()

    def _signalled(self) -> None:
        numbers = self._signals.read()
        if signal.SIGCHLD in numbers:
            self._crew.collect()
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._end()

    def _end(self) -> None:
        if self._leaving:
            self._crew.signal_all(signal.SIGKILL)
            return
        self._leaving = True
        self._deadline = guard.now() + LEAVE_S
        self._crew.dismiss_all()
        self._crew.signal_all(signal.SIGTERM)


def _ignore(role: str, message: Message) -> None:
    logger.debug("The %s sent %r.", role, message)


def _forget(role: str) -> None:
    logger.debug("The %s ended.", role)
