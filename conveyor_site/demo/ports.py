"""The port of the demonstration: a given port, else the same port at each start."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from products.errors import UserError

HOST = "127.0.0.1"
PORT = 8000
_FILE = "demo.port"


class PortTakenError(UserError):
    """The given port cannot be used."""

    code = "demo.port-taken"

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} of {HOST} cannot be used: another program uses it, or this user may not. "
            "Choose another port: PORT=9000 make run, or --port 9000."
        )


def choose_port(asked: int | None = None) -> int:
    """Return the port to serve on. Raises PortTakenError for ``asked`` only.

    Without ``asked`` it is the port of the last start in this data folder, else the default port,
    else any free port.
    """
    if asked is not None:
        port = _free(asked)
        if port is None:
            raise PortTakenError(asked)
    else:
        found = (_free(each) for each in (_last(), PORT, 0))
        port = next((each for each in found if each is not None), PORT)
    _path().write_text(str(port))
    return port


def is_free(port: int) -> bool:
    """Return whether a server could listen there."""
    return _free(port) is not None


def _last() -> int:
    with suppress(OSError, ValueError):
        return int(_path().read_text())
    return PORT


def _path() -> Path:
    return Path(settings.CONVEYOR_DATA_DIR) / _FILE


def _free(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return None
        return int(probe.getsockname()[1])
