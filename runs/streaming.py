"""Streamed answers: a complete log, and live events.

A feed reads the database in portions. Under ASGI its reads run in a few threads that all streams of
the process share, so that no watcher needs a thread or a database connection of its own. Under WSGI
a stream sends the present contents and ends, and its reader connects again.
The format of events: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError, close_old_connections, connections
from django.http import HttpRequest, StreamingHttpResponse

from products.errors import PlatformError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.4
COMMENT_EVERY_S = 15.0
#: Seconds after which a stream ends; readers connect again with the id of their last event.
LIFE_S = 120.0
COME_AGAIN_MS = 1000
MAX_WATCHERS = 200
#: Limit for one user, so that no user takes all.
MAX_WATCHERS_EACH = 50
MAX_THREADS = 4

_threads = ThreadPoolExecutor(max_workers=MAX_THREADS, thread_name_prefix="streams")
#: The open streams, each with its user.
_watchers: dict[object, Any] = {}
_counting = threading.Lock()


class TooManyWatchersError(PlatformError):
    """This process serves as many streams as it may, to all or to one user."""

    code = "stream.too-many"
    http_status = 503

    def __init__(self, count: int, by: str) -> None:
        super().__init__(
            f"{by} has {count} live pages or streams open, which is the limit. Close some, or try "
            "again in a minute."
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: bytes to send, and whether there will be no more."""

    data: bytes = b""
    ended: bool = False


class Feed(Protocol):
    """Something that is looked at again and again, always from the same request."""

    def look(self) -> Look:
        """Return what is new since the look before."""
        ...


def event(name: str, data: Any, *, event_id: int | str | None = None) -> bytes:
    """Return one event in the format of server-sent events; ``data`` travels as JSON."""
    lines = [f"event: {name}", f"data: {json.dumps(data, separators=(',', ':'))}"]
    if event_id is not None:
        lines.insert(0, f"id: {event_id}")
    return ("\n".join(lines) + "\n\n").encode()


def whole_text(request: HttpRequest, feed: Feed) -> StreamingHttpResponse:
    """Answer with all that the feed has, as plain text that no browser takes for more."""
    content = _followed(feed) if isinstance(request, ASGIRequest) else _drained(feed)
    response = StreamingHttpResponse(content, content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response


def event_stream(request: HttpRequest, feed: Feed) -> StreamingHttpResponse:
    """Answer with the events of the feed; raises TooManyWatchersError."""
    user = getattr(request.user, "pk", None)
    content = _Watched(feed, user) if isinstance(request, ASGIRequest) else _glanced(feed)
    response = StreamingHttpResponse(content, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response["X-Content-Type-Options"] = "nosniff"
    return response


class _Watched:
    """The events of a feed, counted from the moment at which the answer is made.

    The count is taken back when the events end, when the answer is closed unread, and when it is
    lost, as by a reader who leaves before the answer exists. Raises TooManyWatchersError.
    """

    def __init__(self, feed: Feed, user: Any) -> None:
        self._feed = feed
        watcher = object()
        with _counting:
            _check_limits(user)
            _watchers[watcher] = user
        self._give_back = weakref.finalize(self, _watchers.pop, watcher, None)
        self._give_back.atexit = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            yield f"retry: {COME_AGAIN_MS}\n\n".encode()
            async for data in _followed(self._feed, life_s=LIFE_S):
                yield data
        finally:
            self._give_back()

    def close(self) -> None:
        """Take the count back; the handler calls it when the answer was sent or given up."""
        self._give_back()


def _check_limits(user: Any) -> None:
    # A copy: other threads and the garbage collector take watchers out.
    open_now = list(_watchers.values())
    if len(open_now) >= MAX_WATCHERS:
        raise TooManyWatchersError(MAX_WATCHERS, "Everybody together")
    if open_now.count(user) >= MAX_WATCHERS_EACH:
        raise TooManyWatchersError(MAX_WATCHERS_EACH, "Your account")


async def _followed(feed: Feed, *, life_s: float | None = None) -> AsyncIterator[bytes]:
    # The thread of this request has done its work; its database connection is given back.
    await sync_to_async(connections.close_all)()
    began = spoke = time.monotonic()
    while True:
        found = await asyncio.get_running_loop().run_in_executor(_threads, _look, feed)
        now = time.monotonic()
        if found.data:
            yield found.data
            spoke = now
        elif life_s is not None and now - spoke > COMMENT_EVERY_S:
            yield b": still here\n\n"
            spoke = now
        if found.ended or (life_s is not None and now - began > life_s):
            return
        if not found.data:
            await asyncio.sleep(LOOK_EVERY_S)


def _look(feed: Feed) -> Look:
    close_old_connections()
    try:
        return feed.look()
    except DatabaseError:
        logger.warning("A stream ended: the database did not answer. The reader connects again.")
        return Look(ended=True)
    finally:
        close_old_connections()


def _glanced(feed: Feed) -> Iterator[bytes]:
    yield f"retry: {COME_AGAIN_MS}\n\n".encode()
    yield from _drained(feed, until_quiet=True)


def _drained(feed: Feed, *, until_quiet: bool = False) -> Iterator[bytes]:
    while True:
        found = feed.look()
        if found.data:
            yield found.data
        if found.ended or (until_quiet and not found.data):
            return
