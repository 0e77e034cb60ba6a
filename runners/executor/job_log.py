"""The log of an attempt as the slot writes it: masked, each stream by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runners.executor.log_stream import LogStream
from runners.executor.masking import Masker
from runners.executor.shapes import JobAssignment, LogChunk, Stream


class JobLog:
    """Masks what the streams bring and passes it to ``stream``, which cuts and sends it."""

    def __init__(
        self, assignment: JobAssignment, send: Callable[[Sequence[LogChunk]], bool]
    ) -> None:
        contents = [file.content for file in assignment.secret_files]
        self.masker = Masker((*assignment.secret_values, *contents))
        self._maskers: dict[Stream, Masker] = {
            "stdout": self.masker.another(),
            "stderr": self.masker.another(),
        }
        self._said: set[str] = set()
        self.stream = LogStream(
            send, cap_bytes=assignment.limits.log_bytes, timing=assignment.timing
        )

    def write(self, stream: Stream, data: bytes) -> None:
        """Add what the job wrote to ``stdout`` or ``stderr``."""
        self.stream.write(stream, self._maskers[stream].feed(data))

    def end_stage(self) -> None:
        """Add what the maskers held back: the streams of this stage are closed."""
        for stream, masker in self._maskers.items():
            self.stream.write(stream, masker.flush())

    def say(self, sentence: str) -> None:
        """Add a line of the platform, masked; one that was said before is not said again."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.stream.say(self.masker.mask(sentence))
