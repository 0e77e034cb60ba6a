"""The supervisors of a slot: one at a time, kept for the next attempt when it may serve again."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from types import TracebackType

from runners.executor.accounts import Accounts
from runners.executor.zygote import ZygoteClient, ZygoteGoneError

# What Python and the kernel gather in a process goes with it.
MOST_ATTEMPTS = 100


class Guard:
    """A supervisor that waits for orders: ``control`` is its socket, ``accounts`` are the slot's.

    ``stages`` numbers those that it has been ordered to run, so that no report of one is taken for
    another's, of whichever attempt.
    """

    def __init__(self, control: socket.socket, accounts: Accounts) -> None:
        self.control = control
        self.accounts = accounts
        self.attempts = 0
        self.stages = 0

    def is_waiting(self) -> bool:
        """Whether it has not been let go, lives as far as can be seen, and has nothing to say."""
        if self.control.fileno() < 0:
            return False
        waiting = select.poll()
        waiting.register(self.control, select.POLLIN)
        return not waiting.poll(0)

    def let_go(self) -> None:
        """Close the socket, upon which it kills what it has started and leaves."""
        self.control.close()


class Supervisors:
    """Where a slot gets the supervisor of its next attempt from. Leave its context in the end."""

    def __init__(self, zygote: ZygoteClient) -> None:
        self._zygote = zygote
        self._kept: Guard | None = None
        self._accounts = Accounts()

    def prepare(self) -> None:
        """Have one ready before there is a hurry, if the zygote answers."""
        if self._kept is None or not self._kept.is_waiting():
            with suppress(ZygoteGoneError):
                self.give_back(self._fresh())

    def take(self) -> Guard:
        """Return a supervisor that runs nothing and knows no attempt; raise ZygoteGoneError."""
        kept, self._kept = self._kept, None
        if kept is None:
            return self._fresh()
        if kept.is_waiting():
            return kept
        kept.let_go()
        return self._fresh()

    def give_back(self, guard: Guard) -> None:
        """Keep a supervisor, unless it was let go, has served long enough, or another is kept."""
        self.close()
        if guard.attempts < MOST_ATTEMPTS and guard.control.fileno() >= 0:
            self._kept = guard
        else:
            guard.let_go()

    def close(self) -> None:
        """Let go of the one that is kept."""
        if self._kept is not None:
            self._kept.let_go()
            self._kept = None

    def _fresh(self) -> Guard:
        return Guard(self._zygote.supervise(), self._accounts)

    def __enter__(self) -> Supervisors:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self._accounts.close()
