"""The slot's reports of an attempt: to the database, and to the parent that it lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from runners.executor.shapes import LogChunk, Orders
from runners.process import guard
from runners.process.outage import DATABASE_AWAY, Outage
from runners.process.slot_line import SlotLine
from runs.begin import start_attempt
from runs.logs import ChunkToStore, append_chunks

#: So many bytes of log are kept for a database that is away; then the job waits at its pipe.
SPOOL_BYTES = 8 * 1024 * 1024
#: The first and the longest wait between two tries of a statement that failed.
_TRY_AGAIN_S = (0.1, 5.0)

Result = TypeVar("Result")


class EndedMeanwhileError(Exception):
    """The attempt was ordered to end while the database was away."""


class Patience:
    """Tries statements until the database answers, giving signs of life meanwhile."""

    def __init__(self, line: SlotLine, outage: Outage) -> None:
        self.outage = outage
        self._line = line

    def insist(self, statement: Callable[[], Result], *, even_if_ordered_to_end: bool) -> Result:
        """Return what the statement returns, after as many tries as it takes.

        The statement must have the same effect once and twice: an answer can get lost after the
        commit. Raises EndedMeanwhileError, unless it is to be insisted on even then.
        """
        wait_s = _TRY_AGAIN_S[0]
        while True:
            try:
                result = statement()
            except DATABASE_AWAY as error:
                self.outage.met(error)
            else:
                self.outage.over()
                return result
            if self._line.must_end and not even_if_ordered_to_end:
                raise EndedMeanwhileError
            self._line.attend(wait_s)
            wait_s = min(_TRY_AGAIN_S[1], wait_s * 2)


class DatabaseReporter:
    """Stores what an executor reports of one attempt.

    ``isolation`` is the attempt's level, to be set before the start; ``start_tried`` tells
    whether the start was sent, so that it may be committed.

    Pieces of the log are stored in their order, each once; those that a database which is away did
    not take wait here, and go with the next ones or with the end of the attempt (``unsent``).
    """

    def __init__(self, attempt_id: UUID, line: SlotLine, patience: Patience) -> None:
        self.isolation = ""
        self.start_tried = False
        self._attempt_id = attempt_id
        self._line = line
        self._patience = patience
        self._waiting: list[ChunkToStore] = []
        self._waiting_bytes = 0
        self._next_try_at = 0.0
        self._wait_s = _TRY_AGAIN_S[0]
        self._fenced = False

    def started(self) -> bool:
        """Commit the start; return False when the attempt is no longer this runner's."""
        self.start_tried = True
        try:
            return self._patience.insist(
                lambda: start_attempt(self._attempt_id, isolation=self.isolation),
                even_if_ordered_to_end=False,
            )
        except EndedMeanwhileError:
            return False

    def log(self, chunks: Sequence[LogChunk]) -> bool:
        """Store pieces of the log; return False when the attempt is no longer this runner's.

        Comes back at once while the database is away, until more than ``SPOOL_BYTES`` wait for it.
        """
        self._waiting += [to_store(chunk) for chunk in chunks]
        self._waiting_bytes += sum(len(chunk.data) for chunk in chunks)
        self._flush_if_due()
        while self._waiting_bytes > SPOOL_BYTES and not self._line.must_end and not self._fenced:
            self._line.attend(max(0.0, self._next_try_at - guard.now()))
            self._flush_if_due()
        return not self._fenced

    def orders(self) -> Orders:
        """Return the present orders, after another try to store what waits if one is due."""
        self._flush_if_due()
        orders = self._line.orders()
        return Orders(orders.ticked_at, lost=True) if self._fenced else orders

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when there may be new orders."""
        return self._line.fileno()

    def unsent(self) -> list[ChunkToStore]:
        """Return the pieces of the log that still wait, in order."""
        return list(self._waiting)

    def _flush_if_due(self) -> None:
        if not self._waiting or self._fenced or guard.now() < self._next_try_at:
            return
        try:
            self._fenced = not append_chunks(self._attempt_id, self._waiting)
        except DATABASE_AWAY as error:
            self._patience.outage.met(error)
            self._next_try_at = guard.now() + self._wait_s
            self._wait_s = min(_TRY_AGAIN_S[1], self._wait_s * 2)
            return
        self._patience.outage.over()
        self._waiting, self._waiting_bytes = [], 0
        self._next_try_at, self._wait_s = 0.0, _TRY_AGAIN_S[0]


def to_store(chunk: LogChunk) -> ChunkToStore:
    """Return the piece of the log as the engine takes it."""
    return ChunkToStore(chunk.sequence, chunk.stream, chunk.offset, chunk.data)
