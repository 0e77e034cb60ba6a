"""Limits of the web server for connections, so that unfinished requests cannot use all of them.

A connection is *waiting* while its request is not complete, or before the next one. It is *unread*
while its caller does not read the answer, or sends the next request before it. If there are too
many connections, the oldest unread one is closed, else the oldest waiting one. Both also have a
time limit. A connection whose answer is read, such as a live stream, is never closed for another.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST = 10_000
#: Descriptors for the database, files and what else is not a connection of a caller.
_RESERVED = 64
_LARGEST_BACKLOG = 256
#: The event loop accepts that many rounds of the backlog before it counts the first of them.
_ROUNDS = 4
_INCOMPLETE = (h11.IDLE, h11.SEND_BODY)


@dataclass(slots=True)
class ConnectionLimits:
    """What the connections of one server may use together.

    ``most`` connections; ``backlog`` of them are accepted at a time; a request has ``request_s``
    seconds to arrive, and its answer may stand still for as long.
    """

    most: int
    backlog: int
    request_s: float
    waiting: dict[LimitedProtocol, None] = field(default_factory=dict)
    unread: dict[LimitedProtocol, None] = field(default_factory=dict)


def limits_of_process(request_s: float) -> ConnectionLimits:
    """Raise the limit of open files of this process as far as it may; return what fits in it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = _MOST * 2 if hard == resource.RLIM_INFINITY else hard
    backlog = max(1, min(_LARGEST_BACKLOG, files // 16))
    most = max(1, min(_MOST, files - _RESERVED - _ROUNDS * backlog))
    return ConnectionLimits(most=most, backlog=backlog, request_s=request_s)


class LimitedProtocol(H11Protocol):
    """One connection of a caller; ``protocol_with`` makes the class for a server."""

    limits: ConnectionLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Count it, and close the oldest unread or waiting connection if there are too many."""
        super().connection_made(transport)
        self._begin_waiting()
        if len(self.connections) > self.limits.most:
            next(iter(self.limits.unread or self.limits.waiting)).drop()

    def data_received(self, data: bytes) -> None:
        """Take what came, and measure the time while the request is not complete."""
        if self._request_timer is None and self.conn.their_state in _INCOMPLETE:
            self._begin_waiting()
        super().data_received(data)
        if self.conn.their_state not in _INCOMPLETE:
            self._end_waiting()
            if self.conn.trailing_data[0]:
                self.limits.unread[self] = None

    def on_response_complete(self) -> None:
        """Wait for the next request; an answer that the caller does not read has an end."""
        super().on_response_complete()
        self._watch_answer()
        if self.conn.their_state in _INCOMPLETE:
            # The next request may have begun already.
            self._begin_waiting()
            if not self.transport.get_write_buffer_size():
                self.limits.unread.pop(self, None)

    def pause_writing(self) -> None:
        """Stop writing until the caller reads, which may not take for ever."""
        super().pause_writing()
        self.limits.unread[self] = None
        self._watch_answer()

    def resume_writing(self) -> None:
        """Write on: the caller reads."""
        self._end_watching()
        self.limits.unread.pop(self, None)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_waiting()
        super().connection_lost(exc)
        # It resumes writing, so this comes after it.
        self._end_watching()
        self.limits.unread.pop(self, None)

    def drop(self) -> None:
        """Close the connection, whatever its caller still reads or sends."""
        self._end_waiting()
        self.limits.unread.pop(self, None)
        self.transport.abort()

    def _begin_waiting(self) -> None:
        self._end_waiting()
        self.limits.waiting[self] = None
        self._request_timer = self.loop.call_later(self.limits.request_s, self.drop)

    def _end_waiting(self) -> None:
        self.limits.waiting.pop(self, None)
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _watch_answer(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread and self._answer_timer is None:
            self._answer_timer = self.loop.call_later(
                self.limits.request_s, self._drop_unread, unread
            )

    def _end_watching(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _drop_unread(self, before: int) -> None:
        """Drop the connection if nothing was read since ``before`` bytes were unread."""
        self._answer_timer = None
        if self.transport.get_write_buffer_size() >= before:
            self.drop()
        else:
            self._watch_answer()


def protocol_with(limits: ConnectionLimits) -> type[LimitedProtocol]:
    """Return the class of connections of a server with these limits."""
    return type("ServerProtocol", (LimitedProtocol,), {"limits": limits})
