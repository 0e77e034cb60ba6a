"""Signals of a runner's parent, as something that a selector can wait for."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType

_WANTED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Only the byte that the kernel's signal leaves in the pipe counts."""


class Signals:
    """Within it, SIGTERM, SIGINT and SIGCHLD are bytes to be read instead of interruptions."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, _nothing) for number in _WANTED}
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.close()

    def close(self) -> None:
        """Let go of the pipe; a forked child does so too."""
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._read

    def read(self) -> set[int]:
        """Return the signals that came since the last call."""
        try:
            return set(os.read(self._read, 4096))
        except BlockingIOError:
            return set()
