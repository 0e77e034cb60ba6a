"""Starting the zygote (a runner's) and reaching it (a slot's)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from runners.supervisor.zygote import UNHEEDED

_ROOT = Path(__file__).resolve().parents[2]
_NAME = "zygote.sock"
_BACKLOG = 256
# The interpreter starts isolated; only the project's own folder is added to what it can import.
_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from runners.supervisor.zygote import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]))"
)


class ZygoteGoneError(ConnectionError):
    """The zygote is dead or has not been started; its runner has to start another."""


class ZygoteClient:
    """What a slot keeps of the zygote: the folder of its socket. Cheap, and survives a fork."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def supervise(self) -> socket.socket:
        """Return the control socket of a fresh supervisor; raise ZygoteGoneError."""
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            with _address(self.folder) as address:
                control.connect(address)
        except OSError as error:
            control.close()
            raise ZygoteGoneError(
                f"The process that starts jobs does not answer in {self.folder}: {error.strerror}."
            ) from error
        return control


class ZygoteProcess:
    """The zygote of this process; it ends by itself when this process dies."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._process = process

    @classmethod
    def start(cls, folder: Path, *, python: str = sys.executable) -> ZygoteProcess:
        """Start a zygote whose socket lies in ``folder``, made private; raise OSError.

        The caller must not fork while it has threads; it may start another zygote in the same
        folder after the death of one.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        with suppress(FileNotFoundError):
            (folder / _NAME).unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            with _address(folder) as address:
                listener.bind(address)
            listener.listen(_BACKLOG)
            # This process' own copy is closed at once, so that a dead zygote refuses callers.
            process = _spawn(python, listener.fileno())
        return cls(folder, process)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def client(self) -> ZygoteClient:
        """Return what slots need."""
        return ZygoteClient(self._folder)

    def is_alive(self) -> bool:
        """Return whether it lives; buries it when it does not."""
        return self._process.poll() is None

    def close(self) -> None:
        """Kill the zygote, upon which its supervisors kill their trees, and bury it."""
        if self.is_alive():
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        with suppress(FileNotFoundError):
            (self._folder / _NAME).unlink()

    def __enter__(self) -> ZygoteProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _spawn(python: str, listener: int) -> subprocess.Popen[bytes]:
    options = [python, "-I", "-S", "-B", "-c", _BOOT]
    # All names of libraries are looked up at once: else each child of a fork looks up its own.
    environment = {"LD_BIND_NOW": "1"}
    # Signals to the whole group of processes wait until the zygote has learnt not to heed them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, UNHEEDED)
    try:
        return subprocess.Popen(
            [*options, str(_ROOT), str(listener), str(os.getpid())],
            env=environment,
            pass_fds=(listener,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """Give an address of the socket that fits into the kernel's 108 bytes for any folder."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)
