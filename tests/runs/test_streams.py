"""Streams are few, and nobody takes all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.test import AsyncRequestFactory

from runs.streaming import (
    MAX_WATCHERS,
    MAX_WATCHERS_EACH,
    Look,
    TooManyWatchersError,
    event_stream,
)


class Endless:
    """A feed that never ends."""

    def look(self) -> Look:
        return Look()


async def watched(by: int, times: int, stack: AsyncExitStack) -> None:
    """Open so many streams of a user, to be closed with the stack."""
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
            with pytest.raises(TooManyWatchersError, match="50 streams are watched here by you"):
                await watched(1, 1, stack)
            await watched(2, 1, stack)

    asyncio.run(ask())


def test_a_process_serves_no_more_streams_than_it_may_and_others_when_some_are_closed() -> None:
    async def ask() -> None:
        async with AsyncExitStack() as stack:
            users = range(MAX_WATCHERS // MAX_WATCHERS_EACH)
            for user in users:
                await watched(user, MAX_WATCHERS_EACH, stack)
            with pytest.raises(TooManyWatchersError, match="200 streams are watched here by all"):
                await watched(len(users), 1, stack)

    async def ask_again() -> None:
        async with AsyncExitStack() as stack:
            await watched(1, 1, stack)

    asyncio.run(ask())
    asyncio.run(ask_again())
