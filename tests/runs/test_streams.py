"""The number of streams is limited, for all users and for each."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any, cast

import pytest
import uvicorn
from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory, Client

from conveyor_site.asgi import application
from runs.streaming import (
    MAX_WATCHERS,
    MAX_WATCHERS_EACH,
    Look,
    TooManyWatchersError,
    event_stream,
)
from tests import builders
from tests.own_database import OwnDatabase


class Endless:
    """A feed that never ends."""

    def look(self) -> Look:
        return Look()


def opened(by: int) -> StreamingHttpResponse:
    """Return the answer to a user who has read nothing of it yet."""
    request = AsyncRequestFactory().get("/")
    request.user = User(pk=by)
    return event_stream(request, Endless())


async def watched(by: int, times: int, stack: AsyncExitStack) -> None:
    """Open that number of streams of a user, to be closed with the stack."""
    for _ in range(times):
        request = AsyncRequestFactory().get("/")
        request.user = User(pk=by)
        content: Any = event_stream(request, Endless()).streaming_content
        stream = await stack.enter_async_context(aclosing(cast("Any", content)))
        assert await anext(cast("AsyncIterator[bytes]", stream)) == b"retry: 1000\n\n"


def test_one_user_takes_a_part_of_the_streams_only() -> None:
    async def ask() -> None:
        async with AsyncExitStack() as stack:
            await watched(1, MAX_WATCHERS_EACH, stack)
            with pytest.raises(TooManyWatchersError, match="Your account has 50 live pages"):
                await watched(1, 1, stack)
            await watched(2, 1, stack)

    asyncio.run(ask())


def test_a_process_serves_no_more_streams_than_it_may_and_others_when_some_are_closed() -> None:
    async def ask() -> None:
        async with AsyncExitStack() as stack:
            users = range(MAX_WATCHERS // MAX_WATCHERS_EACH)
            for user in users:
                await watched(user, MAX_WATCHERS_EACH, stack)
            with pytest.raises(TooManyWatchersError, match="Everybody together has 200 live pages"):
                await watched(len(users), 1, stack)

    async def ask_again() -> None:
        async with AsyncExitStack() as stack:
            await watched(1, 1, stack)

    asyncio.run(ask())
    asyncio.run(ask_again())


def test_unread_stream_counts_until_it_is_closed_or_lost(db: None) -> None:
    answers = [opened(901) for _ in range(MAX_WATCHERS_EACH)]
    with pytest.raises(TooManyWatchersError):
        opened(901)
    answers[0].close()
    answers[0] = opened(901)
    with pytest.raises(TooManyWatchersError):
        opened(901)
    answers.pop()
    answers.append(opened(901))
    answers.clear()
    assert [opened(901).status_code for _ in range(MAX_WATCHERS_EACH + 1)] == [200] * 51


async def statuses_of(path: str, cookie: str, times: int) -> Counter[bytes]:
    """Ask for a path so many times at once, by a socket each; count the statuses."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http="h11", lifespan="off", log_config=None)
    config.timeout_graceful_shutdown = 5
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={cookie}\r\n\r\n"
    port = listener.getsockname()[1]
    sockets = [await asyncio.open_connection("127.0.0.1", port) for _ in range(times)]
    try:
        for _, writer in sockets:
            writer.write(asked.encode())
        lines = await asyncio.gather(*(reader.readline() for reader, _ in sockets))
    finally:
        for _, writer in sockets:
            writer.close()
        server.should_exit = True
        await serving
    return Counter(line.split()[1] for line in lines)


def test_streams_opened_at_once_stay_within_the_limit(own_database: OwnDatabase) -> None:
    client = Client()
    client.force_login(builders.a_user("boss", staff=True))
    cookie = client.cookies["sessionid"].value
    path = f"/api/v1/belt-runs/{builders.a_belt_run().pk}/stream/"

    statuses = asyncio.run(statuses_of(path, cookie, 90))

    assert statuses == {b"200": MAX_WATCHERS_EACH, b"503": 40}
