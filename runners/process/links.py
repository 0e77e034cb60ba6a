"""Links between the parent of a runner and its children: local sockets that keep datagrams whole.

A link never makes the parent wait: what a child's full buffer cannot take is dropped there, and
everything that must arrive is said again by its sender or follows from the child's death.
"""

from __future__ import annotations

import select
import socket

from runners.process.messages import Message, decode, encode

_LARGEST = 65536


class LinkClosedError(ConnectionError):
    """The process at the other end is gone."""


class Link:
    """One end of a link."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def pair(cls) -> tuple[Link, Link]:
        """Return the two ends of a new link."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end; closing it again does nothing."""
        self._socket.close()

    def send(self, message: Message) -> bool:
        """Send without waiting; return False if the other end's buffer is full.

        Raises LinkClosedError when the other process is gone.
        """
        try:
            self._socket.send(encode(message), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except OSError as error:
            raise LinkClosedError("The process at the other end of the link is gone.") from error
        return True

    def send_surely(self, message: Message) -> None:
        """Send, waiting for room. Raises LinkClosedError when the other process is gone."""
        while not self.send(message):
            select.select([], [self], [])

    def receive(self) -> Message | None:
        """Return the next message, or None when there is none yet.

        Raises LinkClosedError when the other process is gone and all it said has been read.
        """
        try:
            datagram = self._socket.recv(_LARGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            raise LinkClosedError("The process at the other end of the link is gone.") from error
        if not datagram:
            raise LinkClosedError("The process at the other end of the link is gone.")
        return decode(datagram)

    def wait(self, timeout_s: float | None) -> Message | None:
        """Return the next message, or None when none came in time (None waits without end)."""
        message = self.receive()
        if message is not None:
            return message
        select.select([self], [], [], timeout_s)
        return self.receive()
