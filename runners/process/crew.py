"""The children of a runner's parent by role, kept alive until they are let go."""

from __future__ import annotations

import functools
import logging
import os
import selectors
import signal
from collections.abc import Callable, Iterable

from runners.process import guard
from runners.process.children import Child, Delay, reap
from runners.process.links import Link, LinkClosedError
from runners.process.messages import Message, UnknownMessageError

logger = logging.getLogger(__name__)

Hear = Callable[[str, Message], None]


class Crew:
    """Starts, hears, restarts and ends children.

    ``start`` makes the child of a role; ``hear`` gets every message; ``gone`` is called when a
    child has died, after its last message was heard.
    """

    def __init__(
        self, start: Callable[[str], Child], hear: Hear, gone: Callable[[str], None]
    ) -> None:
        self.selector = selectors.DefaultSelector()
        self._start = start
        self._hear = hear
        self._gone = gone
        self._children: dict[str, Child] = {}
        self._delays: dict[str, Delay] = {}
        self._due: dict[str, float] = {}

    def __contains__(self, role: str) -> bool:
        return role in self._children

    def __len__(self) -> int:
        return len(self._children)

    @property
    def next_due(self) -> float | None:
        """Return when the next child is to be started again."""
        return min(self._due.values(), default=None)

    def employ(self, roles: Iterable[str]) -> None:
        """Start a child for each role, and another whenever it dies."""
        for role in roles:
            self._delays[role] = Delay()
            self._begin(role)

    def dismiss(self, role: str) -> None:
        """Do not start another one when the child of that role is gone."""
        self._delays.pop(role, None)
        self._due.pop(role, None)

    def dismiss_all(self) -> None:
        """Start nobody any more."""
        self._delays.clear()
        self._due.clear()

    def start_due(self) -> None:
        """Start again whoever is due."""
        for role in [role for role, due in self._due.items() if due <= guard.now()]:
            del self._due[role]
            self._begin(role)

    def tell(self, role: str, message: Message) -> None:
        """Send a message to the child of that role, if there is one and it takes messages."""
        child = self._children.get(role)
        if child is None or child.link is None:
            return
        try:
            if not child.link.send(message):
                logger.warning("The %s does not read; it missed %r.", role, message)
        except LinkClosedError:
            logger.debug("The %s is gone; it missed %r.", role, message)

    def send_signal(self, role: str, number: signal.Signals) -> None:
        """Send a signal to the child of that role, if there is one."""
        child = self._children.get(role)
        if child is not None:
            os.kill(child.pid, number)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every child."""
        for role in list(self._children):
            self.send_signal(role, number)

    def collect(self) -> None:
        """Take leave of the children that have died."""
        for pid, end in reap():
            role = next((role for role, each in self._children.items() if each.pid == pid), None)
            if role is not None:
                self._take_leave(role, end)

    def close_links(self) -> None:
        """Let go of the parent's ends; for a forked child, in which they would keep links open."""
        for child in self._children.values():
            if child.link is not None:
                child.link.close()
        self.selector.close()

    def _begin(self, role: str) -> None:
        child = self._start(role)
        self._children[role] = child
        if child.link is not None:
            listen = functools.partial(self._listen, role, child.link)
            self.selector.register(child.link, selectors.EVENT_READ, listen)

    def _listen(self, role: str, link: Link) -> None:
        try:
            while (message := link.receive()) is not None:
                self._hear(role, message)
        except LinkClosedError:
            self._forget(link)
        except UnknownMessageError:
            logger.exception("The %s is ended: it speaks nonsense.", role)
            self.send_signal(role, signal.SIGKILL)

    def _forget(self, link: Link) -> None:
        if link.fileno() >= 0:
            self.selector.unregister(link)
            link.close()

    def _take_leave(self, role: str, end: str) -> None:
        child = self._children[role]
        if child.link is not None and child.link.fileno() >= 0:
            self._listen(role, child.link)
            self._forget(child.link)
        del self._children[role]
        delay = self._delays.get(role)
        if delay is not None:
            wait_s = delay.after(guard.now() - child.born_at)
            self._due[role] = guard.now() + wait_s
            logger.warning("The %s ended (%s); another starts in %.2g s.", role, end, wait_s)
        self._gone(role)
