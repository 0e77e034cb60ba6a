"""The web server of an orchestrator: pages, API and admin by uvicorn."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket

import uvicorn
from django.conf import settings

from conveyor_site.asgi import application
from conveyor_site.orchestrator.connections import limits_of_process, protocol_with
from products.errors import UserError
from runners.process.links import Link

_BACKLOG = 2048
#: Seconds for open requests and streams to end after SIGTERM.
_GRACE_S = 2


class AddressError(UserError):
    """The server cannot listen on the given address."""

    code = "web.address"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 is any free one. Raises AddressError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        is_taken = getattr(error, "errno", None) == errno.EADDRINUSE
        way_out = "Stop the program that listens there, or choose" if is_taken else "Choose"
        raise AddressError(
            f"The web server cannot listen on port {port} of {host}: {reason}. {way_out} another "
            "address with --host and --port."
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return the URL at which the listener is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def local_address_of(listener: socket.socket) -> str:
    """Return a URL at which this machine reaches the listener, also one of all addresses."""
    address = address_of(listener)
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # The event loop accepts few connections at a time; the kernel may queue more.
        for each in sockets or ():
            each.listen(_BACKLOG)


def run_web(_link: Link, listener: socket.socket) -> int:
    """Serve until SIGTERM; return the exit code of the process."""
    # It logs every stream that it closes at its end.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    limits = limits_of_process(settings.CONVEYOR_TIMES["request"])
    server = _Server(
        uvicorn.Config(
            application,
            loop="asyncio",
            http=protocol_with(limits),
            backlog=limits.backlog,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=bool(settings.CONVEYOR_PROXIES),
            forwarded_allow_ips=list(settings.CONVEYOR_PROXIES),
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    asyncio.run(server.serve(sockets=[listener]))
    return 0
