"""Connections of the web server whose callers do not finish what they began."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from conveyor_site.orchestrator.connections import ConnectionLimits, protocol_with
from tests.conveyor_site.living import LivingOrchestrator
from tests.waiting import until

Address = tuple[str, int]
WHOLE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BEGUN = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"
#: More than the kernel keeps for a caller that does not read.
LARGE = 64 * 1024 * 1024
#: No timer of a test with this time fires.
NEVER_S = 1000.0


class Application:
    """Answers complete requests: /large at length, /stream until the caller leaves."""

    def __init__(self) -> None:
        self.large_has_ended = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        size = LARGE if scope["path"] == "/large" else 2
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        if scope["path"] == "/stream":
            await receive()
        await send({"type": "http.response.body", "body": b""})
        if scope["path"] == "/large":
            self.large_has_ended.set()


@asynccontextmanager
async def serving(
    application: Application, *, most: int = 100, request_s: float = NEVER_S
) -> AsyncIterator[Address]:
    """Serve the application on a free port."""
    limits = ConnectionLimits(most=most, backlog=16, request_s=request_s)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=protocol_with(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
    )
    listener = socket.create_server(("127.0.0.1", 0))
    served = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        await served


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in an event loop, with an end."""

    async def bounded() -> None:
        await asyncio.wait_for(test(), 30)

    asyncio.run(bounded())


async def status_of(address: Address, path: bytes = b"/") -> bytes:
    """Return the first line of the answer to a complete request."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(WHOLE.replace(b"/", path, 1))
    try:
        return await reader.readline()
    finally:
        writer.close()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Wait until the server has closed the connection."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("begun", [WHOLE.replace(b"/", b"/large", 1), WHOLE * 200_000])
def test_callers_who_do_not_read_keep_nobody_out(begun: bytes) -> None:
    async def test() -> None:
        async with serving(Application(), most=4) as address:
            writers = []
            for _ in range(8):
                _reader, writer = await asyncio.open_connection(*address, limit=1)
                writer.write(begun)
                writers.append(writer)
                assert await status_of(address) == b"HTTP/1.1 200 OK\r\n"
            for writer in writers:
                writer.transport.abort()

    run(test)


@pytest.mark.parametrize("begun", [b"", b"G", WHOLE[:-2], BEGUN, WHOLE + BEGUN])
def test_unfinished_request_is_closed_in_time(begun: bytes) -> None:
    async def test() -> None:
        async with serving(Application(), request_s=0.2) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(begun)
            assert await closed(reader)
            writer.close()

    run(test)


def test_unread_answer_is_closed_in_time() -> None:
    async def test() -> None:
        application = Application()
        async with serving(application, request_s=0.2) as address:
            with socket.create_connection(address) as caller:
                caller.sendall(WHOLE.replace(b"/", b"/large", 1))
                await application.large_has_ended.wait()

    run(test)


def test_longest_waiting_connection_makes_room() -> None:
    async def test() -> None:
        async with serving(Application(), most=5) as address:
            waiting = [await asyncio.open_connection(*address) for _ in range(5)]
            assert b"200" in await status_of(address)
            assert await closed(waiting[0][0])
            for _, writer in waiting:
                writer.close()

    run(test)


def test_stream_is_never_closed_for_others() -> None:
    async def test() -> None:
        async with serving(Application(), most=5, request_s=0.2) as address:
            reader, stream = await asyncio.open_connection(*address)
            stream.write(WHOLE.replace(b"/", b"/stream", 1))
            assert b"200" in await reader.readline()
            others = [await asyncio.open_connection(*address) for _ in range(8)]
            assert all([await closed(other) for other, _ in others])
            assert not reader.at_eof()
            assert b"200" in await status_of(address)
            for _, writer in (*others, ("", stream)):
                writer.close()

    run(test)


@pytest.fixture
def few_files(folder: Path, environment: dict[str, str]) -> Iterator[LivingOrchestrator]:
    """An orchestrator that may open few files."""
    orchestrator = LivingOrchestrator(folder, environment, before=("prlimit", "--nofile=40:200"))
    yield orchestrator
    orchestrator.close()


@pytest.mark.processes
@pytest.mark.database
def test_pages_answer_beside_many_unfinished_requests(few_files: LivingOrchestrator) -> None:
    host, _, port = few_files.ready().url.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        for _ in range(420):
            caller = stack.enter_context(socket.create_connection((host, int(port))))
            caller.send(b"G")
            caller.setblocking(False)
        assert [few_files.get("/healthz")[0] for _ in range(5)] == [200] * 5
        until(lambda: is_closed(caller), "the last unfinished request is closed")
        assert few_files.get("/healthz")[0] == 200
    assert "Traceback" not in few_files.said


def is_closed(caller: socket.socket) -> bool:
    """Return whether the server has closed the connection."""
    try:
        return caller.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
