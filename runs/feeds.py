"""Feeds for live pages: the log of an attempt, and the moves of a chain."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runs.chains import state_of, whole_chain
from runs.log_display import LogDisplay, Piece
from runs.logs import LogPiece, read_log
from runs.models import Attempt, BeltRun, JobRun
from runs.queue_warnings import UnservedQueues, queue_warning
from runs.sentences import instead_of_log
from runs.streaming import Look, event

_PIECES_A_LOOK = 16
#: What a look at a job run needs.
_LOOKED_AT = (
    "state",
    "reason",
    "message",
    "last_attempt",
    "queue",
    "queued_at",
    "reused_from",
)


class LogText:
    """All that an attempt's log holds now, as the bytes that the job wrote."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._after = -1

    def look(self) -> Look:
        """Return the next megabyte or less."""
        pieces = read_log(self._attempt, after=self._after, limit=_PIECES_A_LOOK)
        if not pieces:
            return Look(ended=True)
        self._after = pieces[-1].sequence
        return Look(b"".join(piece.data for piece in pieces))


class SentenceText:
    """What is said of a job run that no attempt was made of, instead of its log."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def look(self) -> Look:
        """Return the sentence as a line."""
        return Look(f"{self._sentence}\n".encode(), ended=True)


class LogEvents:
    """The log of one attempt as events, until the job run has ended or is tried again.

    ``log`` events carry ``stream`` and ``pieces``, a list of [class names, text], with the
    sequence as their id; ``state`` says how attempt and job run stand, whether no runner serves
    its queue, and what stands in place of a log while there is no attempt; ``end`` is the last.
    ``number`` is the attempt's, None for the newest; ``after`` is the last sequence seen.
    """

    def __init__(
        self,
        job_run_id: UUID,
        *,
        number: int | None,
        after: int,
        served: UnservedQueues | None = None,
    ) -> None:
        self._job_run_id = job_run_id
        self._number = number
        self._after = after
        self._served = served
        self._state: dict[str, Any] | None = None
        self._displays: dict[str, LogDisplay] = {}
        self._primed = after < 0

    def look(self) -> Look:
        """Return the events since the look before."""
        job_run = JobRun.objects.only(*_LOOKED_AT).filter(pk=self._job_run_id).first()
        if job_run is None:
            # It was removed. The next request of the reader answers so.
            return Look(ended=True)
        self._number = self._number or job_run.last_attempt or None
        attempt = Attempt.objects.filter(job_run=job_run, number=self._number or 0).first()
        over = job_run.is_finished or job_run.last_attempt > (self._number or 0)
        data = self._changed_state(job_run, attempt)
        log = self._log(attempt) if attempt is not None else b""
        if not over or log:
            return Look(data + log)
        return Look(data + self._rest() + event("end", self._state), ended=True)

    def _changed_state(self, job_run: JobRun, attempt: Attempt | None) -> bytes:
        warning = queue_warning(job_run, self._served)
        state = {
            "job_run": str(job_run.pk),
            "state": job_run.state,
            "reason": job_run.reason,
            "message": job_run.message,
            "attempt": attempt.number if attempt else None,
            "attempt_state": attempt.state if attempt else None,
            "warning": warning,
            "instead_of_log": None if attempt else instead_of_log(job_run, warning),
        }
        if state == self._state:
            return b""
        self._state = state
        return event("state", state)

    def _log(self, attempt: Attempt) -> bytes:
        if not self._primed:
            self._prime(attempt)
        pieces = read_log(attempt, after=self._after, limit=_PIECES_A_LOOK)
        if pieces:
            self._after = pieces[-1].sequence
        return b"".join(self._event(piece) for piece in pieces)

    def _rest(self) -> bytes:
        ends = ((stream, display.finish()) for stream, display in self._displays.items())
        return b"".join(_log_event(stream, shown, self._after) for stream, shown in ends if shown)

    def _prime(self, attempt: Attempt) -> None:
        """Read what the reader saw last once more, for what may be cut at its end."""
        for piece in read_log(attempt, after=self._after - 1, limit=1):
            self._shown(piece)
        self._primed = True

    def _event(self, piece: LogPiece) -> bytes:
        return _log_event(piece.stream, self._shown(piece), piece.sequence)

    def _shown(self, piece: LogPiece) -> list[Piece]:
        return self._displays.setdefault(piece.stream, LogDisplay()).feed(piece.data)


def _log_event(stream: str, shown: list[Piece], sequence: int) -> bytes:
    pieces = [[each.classes, each.text] for each in shown]
    return event("log", {"stream": stream, "pieces": pieces}, event_id=sequence)


class ChainEvents:
    """Tells that something moved in the chain of a belt run, until nothing can move any more.

    ``changed`` carries a version, which is also its id; ``end`` is the last.
    """

    def __init__(self, run: BeltRun, *, version: str) -> None:
        self._chain = whole_chain(run)
        self._version = version

    def look(self) -> Look:
        """Return the event of a change since the look before."""
        state = state_of(self._chain)
        if state.version != self._version:
            self._version = state.version
            version = {"version": state.version}
            return Look(event("changed", version, event_id=state.version))
        if not state.is_open:
            return Look(event("end", {"version": state.version}), ended=True)
        return Look()
