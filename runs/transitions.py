"""The one writer of states: every move is guarded, recorded, and follows the tables of ``states``.

All moves in a belt run happen inside ``moving(belt_run_id)``. This is one transaction that first
locks the row of the belt run. So the transactions of one belt run happen one after the other, and
each sees the results of those before it. Only the start of an attempt works without that lock: it
does not bring the job run nearer to its end, so no other move has to see it. Locks are always taken
in this order: belt run, attempt, job run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F

from products.models import OutboxRow
from products.outbox import Consequence, write_outbox
from products.statements import NOW, columns_of, insert_rows, later, update_where
from runs.errors import IllegalMoveError
from runs.models import Attempt, BeltRun, JobRun, RunEvent
from runs.states import (
    ATTEMPT_MOVES,
    BELT_FINISHED,
    BELT_MOVES,
    FINISHED,
    MOVES,
    AttemptState,
    BeltRunState,
    JobRunState,
    Reason,
)

_MESSAGE_CHARACTERS = 4000
_ONE_MORE = F("moves") + 1


class Why(NamedTuple):
    """Why something moves: a reason of the list, its sentence, and who asked, if anybody did."""

    reason: Reason
    message: str = ""
    by: str = ""


class JobKey(NamedTuple):
    """A job run as far as moving it needs."""

    id: UUID
    name: str
    queue: str


@dataclass(slots=True)
class Moves:
    """What one transaction moves in one belt run; events and consequences are written at its end.

    ``moved`` are the job runs by name with the states that they were moved to. ``is_untainted`` is
    true where the transaction has made sure that the belt run is untainted, see ``moving``.
    """

    belt_run_id: UUID
    is_untainted: bool = False
    moved: dict[str, JobRunState] = field(default_factory=dict)
    _events: list[dict[str, Any]] = field(default_factory=list)
    _consequences: list[Consequence] = field(default_factory=list)
    _hints: dict[UUID, Consequence] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        """Whether a job run or the belt run has moved."""
        return bool(self._events)

    def job(
        self,
        key: JobKey,
        old: JobRunState,
        new: JobRunState,
        why: Why,
        *,
        attempt_id: UUID | None = None,
        guard: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> bool:
        """Move a job run; return False when it was not in ``old`` any more.

        ``guard`` are further conditions for the move, ``columns`` further columns to write.
        Raises IllegalMoveError.
        """
        if new not in MOVES[old]:
            raise IllegalMoveError("job run", old, new)
        written = {"reason": why.reason, "message": _cut(why.message), **_job_times(new), **columns}
        where = {"id": key.id, "state": old, **(guard or {})}
        if not update_where(JobRun, where, {"state": new, **written}):
            return False
        self.moved[key.name] = new
        self._event(old, new, why, job_run_id=key.id, attempt_id=attempt_id)
        return True

    def queue(
        self, key: JobKey, old: JobRunState, why: Why, *, number: int, delay_s: float = 0
    ) -> bool:
        """Move a job run to queued, to be claimed from ``delay_s`` seconds on, with a hint.

        ``number`` is that of the attempt which it waits for.
        """
        # Without a delay not "now + 0", which on SQLite comes after "now" within a millisecond.
        available_at = later(delay_s) if delay_s else NOW
        if not self.job(key, old, JobRunState.QUEUED, why, available_at=available_at):
            return False
        self.hint(key, number=number, delay_s=delay_s)
        return True

    def hint(self, key: JobKey, *, number: int, delay_s: float = 0) -> None:
        """Send runners a hint after the commit that the job run can be claimed."""
        self._hints[key.id] = Consequence(
            OutboxRow.Kind.HINT,
            key=f"hint:{key.id}:{number}",
            payload={"job_run": str(key.id), "queue": key.queue},
            delay_s=delay_s,
        )

    def no_hint(self, job_run_id: UUID) -> None:
        """Send no hint, because the job run was claimed in this transaction."""
        self._hints.pop(job_run_id, None)

    def attempt(
        self,
        attempt_id: UUID,
        old: AttemptState,
        new: AttemptState,
        *,
        guard: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> bool:
        """Move an attempt; return False when it was not in ``old`` any more.

        ``guard`` are further conditions for the move. Raises IllegalMoveError.
        """
        if new not in ATTEMPT_MOVES[old]:
            raise IllegalMoveError("attempt", old, new)
        if new not in (AttemptState.STARTING, AttemptState.RUNNING):
            columns = {"active_key": None, "finished_at": NOW, **columns}
        where = {"id": attempt_id, "state": old, **(guard or {})}
        return bool(update_where(Attempt, where, {"state": new, **columns}))

    def belt(self, old: BeltRunState, new: BeltRunState, why: Why) -> bool:
        """Move the belt run; return False when it was not in ``old`` any more.

        Raises IllegalMoveError.
        """
        if new not in BELT_MOVES[old]:
            raise IllegalMoveError("belt run", old, new)
        time = {"finished_at": NOW} if new in BELT_FINISHED else {"started_at": NOW}
        where = {"id": self.belt_run_id, "state": old}
        if not update_where(BeltRun, where, {"state": new, **time}):
            return False
        self._event(old, new, why)
        return True

    def insert(self, rows: Iterable[tuple[JobRun, JobRunState, Why]]) -> None:
        """Insert new job runs in their first states."""
        made = []
        for job_run, state, why in rows:
            job_run.state, job_run.reason = state, why.reason
            job_run.message = _cut(why.message)
            for column, time in _job_times(state).items():
                setattr(job_run, column, time)
            if state == JobRunState.QUEUED:
                job_run.available_at = NOW
                key = JobKey(job_run.id, job_run.name, job_run.queue)
                self.hint(key, number=1)
            made.append(job_run)
            self.moved[job_run.name] = state
            self._event("", state, why, job_run_id=job_run.id)
        insert_rows(JobRun, [columns_of(job_run) for job_run in made])

    def then(self, consequence: Consequence) -> None:
        """Have something happen once this is committed."""
        self._consequences.append(consequence)

    def begin(self, run: BeltRun, why: Why) -> None:
        """Insert the belt run in its first state."""
        run.state = BeltRunState.PENDING
        insert_rows(BeltRun, [columns_of(run)])
        self._event("", BeltRunState.PENDING, why)

    def close(self) -> None:
        """Write the events and consequences; the last thing in the transaction."""
        insert_rows(RunEvent, self._events)
        write_outbox([*self._consequences, *self._hints.values()])

    def _event(
        self,
        old: str,
        new: str,
        why: Why,
        *,
        job_run_id: UUID | None = None,
        attempt_id: UUID | None = None,
    ) -> None:
        self._events.append(
            {
                "belt_run_id": self.belt_run_id,
                "job_run_id": job_run_id,
                "attempt_id": attempt_id,
                "old": old,
                "new": new,
                "reason": why.reason,
                "message": _cut(why.message),
                "by": why.by[:200],
            }
        )


@contextmanager
def moving(
    belt_run_id: UUID,
    *,
    is_new: bool = False,
    is_shared: bool = False,
    if_untainted: bool = False,
) -> Iterator[Moves]:
    """Move things in a belt run: a transaction that holds its row, which ``is_new`` inserts itself.

    ``is_shared`` leaves the row to others, for a move after which nothing else in the belt run
    stands otherwise. ``if_untainted`` takes the row only if the belt run is untainted, which
    ``Moves.is_untainted`` then says; if it is not, the row is taken by a second statement. Nothing
    is kept when the block raises.
    """
    with transaction.atomic():
        moves = Moves(belt_run_id)
        if if_untainted:
            where = {"id": belt_run_id, "tainted": False}
            moves.is_untainted = bool(update_where(BeltRun, where, {"moves": _ONE_MORE}))
        if not (is_new or is_shared or moves.is_untainted):
            update_where(BeltRun, {"id": belt_run_id}, {"moves": _ONE_MORE})
        yield moves
        moves.close()


def insert_attempt(attempt: Attempt) -> None:
    """Insert a new attempt; the database refuses a second one that is alive."""
    attempt.state = AttemptState.STARTING
    attempt.active_key = attempt.job_run_id
    insert_rows(Attempt, [columns_of(attempt)])


def _job_times(state: JobRunState) -> dict[str, Any]:
    if state in FINISHED:
        return {"finished_at": NOW}
    if state == JobRunState.QUEUED:
        return {"queued_at": NOW, "hinted_at": None}
    if state == JobRunState.RUNNING:
        return {"started_at": NOW}
    return {}


def _cut(message: str) -> str:
    return (
        message if len(message) <= _MESSAGE_CHARACTERS else message[: _MESSAGE_CHARACTERS - 1] + "…"
    )
