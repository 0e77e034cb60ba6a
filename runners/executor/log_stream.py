"""The log of one attempt: numbered chunks, flushed in time, capped, with a digest."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

from runners.executor.shapes import MIB, LogChunk, Stream, Timing

CHUNK_BYTES = 64 * 1024
# The platform's own sentences still get in when the job has used up the log.
_CONTROL_RESERVE_BYTES = 64 * 1024
# A flush that takes so long makes the next ones rarer, so that flushing stays a part of the time.
_BUSY_PART = 0.2


class LogStream:
    """Cuts masked bytes into chunks and hands them to ``send``.

    ``send`` gets chunks in order and returns False when the attempt is lost, upon which the
    stream falls silent. Memory holds at most what one flush carries. Times are of the monotonic
    clock, in seconds.
    """

    def __init__(
        self, send: Callable[[Sequence[LogChunk]], bool], *, cap_bytes: int, timing: Timing
    ) -> None:
        self._send = send
        self._cap_bytes = cap_bytes
        self._timing = timing
        self._chunks: list[LogChunk] = []
        self._piece = bytearray()
        self._piece_stream: Stream = "stdout"
        self._pending_bytes = 0
        self._sequence = 0
        self._offset = 0
        self._digest = hashlib.sha256()
        self._job_bytes = 0
        self._control_bytes = 0
        self._truncated = False
        self._at_line_start = True
        self._interval_s = timing.flush_s
        self._flushed_at = float("-inf")
        self._due: float | None = None
        self.lost = False

    @property
    def size(self) -> int:
        """The length of the log so far, in bytes."""
        return self._offset + len(self._piece)

    @property
    def sha256(self) -> str:
        """The digest of everything cut into chunks so far, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def due(self) -> float | None:
        """The instant of the next flush, or None when nothing waits."""
        return self._due

    def write(self, stream: Stream, data: bytes) -> None:
        """Add masked bytes of the job, as far as the cap allows, with a visible marker beyond."""
        if self._truncated or not data:
            return
        room = self._cap_bytes - self._job_bytes
        self._job_bytes += min(room, len(data))
        self._add(stream, data[:room])
        if len(data) > room:
            self._truncated = True
            self.say(f"[log truncated at {_size(self._cap_bytes)}]")
        # At once after a pause, else an interval after the flush before.
        self._be_due(max(time.monotonic(), self._flushed_at + self._interval_s))

    def say(self, sentence: str) -> None:
        """Add a line of the platform on the control stream; it waits for company."""
        line = f"{'' if self._at_line_start else chr(10)}{sentence}\n".encode()
        if self._control_bytes + len(line) > _CONTROL_RESERVE_BYTES:
            return
        self._control_bytes += len(line)
        self._add("control", line)
        self._be_due(time.monotonic() + self._interval_s)

    def flush_if_due(self) -> None:
        """Send what waits when its time has come."""
        if self._due is not None and time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        chunks = self.take()
        if not chunks or self.lost:
            return
        begun = time.monotonic()
        self.lost = not self._send(chunks)
        self._flushed_at = time.monotonic()
        wanted = (self._flushed_at - begun) / _BUSY_PART
        self._interval_s = min(max(wanted, self._timing.flush_s), self._timing.slow_flush_s)

    def take(self) -> tuple[LogChunk, ...]:
        """Return what waits as chunks, as sent."""
        self._cut()
        chunks = tuple(self._chunks)
        self._chunks.clear()
        self._pending_bytes = 0
        self._due = None
        return chunks

    def _be_due(self, at: float) -> None:
        if self._pending_bytes >= CHUNK_BYTES:
            self.flush()
        elif self._pending_bytes:
            self._due = at if self._due is None else min(at, self._due)

    def _add(self, stream: Stream, data: bytes) -> None:
        if stream != self._piece_stream:
            self._cut()
            self._piece_stream = stream
        view = memoryview(data)
        while view:
            room = CHUNK_BYTES - len(self._piece)
            self._piece += view[:room]
            view = view[room:]
            if len(self._piece) == CHUNK_BYTES:
                self._cut()
        self._pending_bytes += len(data)
        if data:
            self._at_line_start = data.endswith(b"\n")

    def _cut(self) -> None:
        if not self._piece:
            return
        data = bytes(self._piece)
        self._chunks.append(LogChunk(self._sequence, self._piece_stream, self._offset, data))
        self._digest.update(data)
        self._sequence += 1
        self._offset += len(data)
        self._piece.clear()


def _size(count: int) -> str:
    return f"{count // MIB} MiB" if count % MIB == 0 else f"{count} bytes"
