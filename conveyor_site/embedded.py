"""The embedded queue: a queue server for sites that have configured none.

The process that locks ``CONVEYOR_DATA_DIR/embedded.lock`` starts the server. The server inherits
the lock, so the lock is held exactly as long as the server lives. Other processes read the path of
its socket from the lock file. The server dies with the process that started it, and the next
process that needs a queue starts another server.

The server stores nothing on disk. Its socket is in a folder that only its user can enter.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from conveyor_site.data_folder import sentence_of
from conveyor_site.embedded_server import EmbeddedServer
from products.errors import PlatformError

LOCK_NAME = "embedded.lock"
FOLDER_NAME = "queue"
SOCKET_NAME = "queue.sock"
LOG_NAME = "queue.log"

#: Seconds for a server to start, here or in another process.
START_S = 15.0
#: Seconds after which a server that listens and does not answer counts as broken.
SILENT_S = 1.0
_LOOK_EVERY_S = 0.02
#: Maximum length of a socket's path in the kernel, with its end (see unix(7)).
_LONGEST_PATH = 107
_MEMORY = "256mb"

_turn = threading.Lock()
_own: list[EmbeddedServer] = []


class EmbeddedQueueError(PlatformError):
    """The embedded queue could not be started or does not answer."""

    code = "queue.embedded"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and its process; the content of the lock file."""

    socket: str
    pid: int


def ensure_embedded_queue() -> str:
    """Return the URL of the embedded queue, after starting it if no process has.

    Raises EmbeddedQueueError. Call it again when the queue cannot be reached.
    """
    with _turn:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            place = _place_of_another() or _started_here()
            if place is not None:
                return _url(place)
            time.sleep(_LOOK_EVERY_S)
    raise EmbeddedQueueError(
        f"Another process started the embedded queue, and it did not answer within {START_S:g} "
        f"seconds. See {_folder() / LOG_NAME}. Stop that process, or set CONVEYOR_BROKER_URL."
    )


def _url(place: Place) -> str:
    return f"redis+socket://{quote(place.socket)}"


def _folder() -> Path:
    return Path(settings.CONVEYOR_DATA_DIR) / FOLDER_NAME


def _place_of_another() -> Place | None:
    """Return where the server of another process listens, if it answers."""
    place = _remembered()
    return place if place is not None and _answers(place.socket) else None


def _remembered() -> Place | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads((Path(settings.CONVEYOR_DATA_DIR) / LOCK_NAME).read_text())
        return Place(socket=str(document["socket"]), pid=int(document["pid"]))
    return None


def _answers(path: str) -> bool:
    """Return whether a server answers there; False while it does not exist or is not ready.

    Raises EmbeddedQueueError for a server that listens and does not answer.
    """
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(SILENT_S)
        try:
            caller.connect(path)
            caller.sendall(b"PING\r\n")
            return caller.recv(64).startswith(b"+PONG")
        except TimeoutError as error:
            raise EmbeddedQueueError(
                f"The embedded queue at {path} exists and does not answer. Stop its process, or "
                "set CONVEYOR_BROKER_URL."
            ) from error
        except OSError:
            return False


def _started_here() -> Place | None:
    """Start a server and return where it listens; None while another process has the lock.

    Raises EmbeddedQueueError.
    """
    lock = _lock_file()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    else:
        return _start(lock)
    finally:
        os.close(lock)


def _lock_file() -> int:
    path = Path(settings.CONVEYOR_DATA_DIR) / LOCK_NAME
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_started(error, path) from error


def _start(lock: int) -> Place:
    try:
        _end_own_servers()
        folder = _folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        path = _socket_path(folder)
        with suppress(FileNotFoundError):
            path.unlink()
        server = EmbeddedServer.start(
            ["--unixsocket", str(path), "--dir", str(folder), "--maxmemory", _MEMORY],
            log=folder / LOG_NAME,
            lock=lock,
        )
        _own.append(server)
        place = Place(socket=str(path), pid=server.pid)
        _remember(lock, place)
    except OSError as error:
        _end_own_servers()
        raise _not_started(error, Path(settings.CONVEYOR_DATA_DIR)) from error
    _wait_for(server, place)
    return place


def _not_started(error: OSError, path: Path) -> EmbeddedQueueError:
    why = sentence_of(error, path) if error.errno else f"{error}."
    return EmbeddedQueueError(
        f"The embedded queue cannot be started: {why} Set CONVEYOR_DATA_DIR to a folder where this "
        "user may write, or CONVEYOR_BROKER_URL to a running queue."
    )


def _end_own_servers() -> None:
    """Reap servers that this process started before. Their lock was free, so they are dead."""
    while _own:
        _own.pop().end()


def _socket_path(folder: Path) -> Path:
    """Return where to listen: in ``folder``, or in a private one with a shorter name."""
    path = folder / SOCKET_NAME
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    before = _remembered()
    if before is not None and _is_private(Path(before.socket).parent):
        return Path(before.socket)
    return Path(tempfile.mkdtemp(prefix="conveyor-queue-")) / SOCKET_NAME


def _is_private(folder: Path) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(facts.st_mode)
        and facts.st_uid == os.geteuid()
        and stat.S_IMODE(facts.st_mode) == 0o700
    )


def _remember(lock: int, place: Place) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(asdict(place)).encode(), 0)


def _wait_for(server: EmbeddedServer, place: Place) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(place.socket):
        if not server.is_alive():
            raise EmbeddedQueueError(
                f"The embedded queue ended when it was started. The last line of "
                f"{_folder() / LOG_NAME}: {_last_line(_folder() / LOG_NAME)}"
            )
        if time.monotonic() > deadline:
            server.end()
            raise EmbeddedQueueError(
                f"The embedded queue was started and did not answer within {START_S:g} seconds. "
                f"See {_folder() / LOG_NAME}."
            )
        time.sleep(_LOOK_EVERY_S)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "none."
