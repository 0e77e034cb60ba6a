"""The engine's rows at one moment, read in four statements that are compiled once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import Now

from products.statements import Select
from runs.models import Attempt, BeltRun, JobRun, RunEvent

ALIVE = ("starting", "running")


class JobRow(NamedTuple):
    """A job run; ``now`` is the database's time at which it was read."""

    id: UUID
    belt_run_id: UUID
    name: str
    state: str
    reason: str
    cancel_requested_at: datetime | None
    last_attempt: int
    available_at: datetime | None
    now: datetime

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has asked for its cancel."""
        return self.cancel_requested_at is not None

    @property
    def delay_s(self) -> float:
        """In how many seconds it can be claimed; negative for since when it can."""
        assert self.available_at is not None
        return (self.available_at - self.now).total_seconds()


class AttemptRow(NamedTuple):
    """An attempt."""

    id: UUID
    job_run_id: UUID
    number: int
    nonce: UUID
    state: str
    started_at: datetime | None

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.state in ALIVE


class RunRow(NamedTuple):
    """A belt run."""

    id: UUID
    state: str
    moves: int


_JOBS = Select(
    lambda: JobRun.objects.order_by("belt_run_id", "position").values_list(
        *JobRow._fields[:-1], Now()
    )
)
_ATTEMPTS = Select(lambda: Attempt.objects.order_by("id").values_list(*AttemptRow._fields))
_RUNS = Select(lambda: BeltRun.objects.order_by("id").values_list(*RunRow._fields))
_EVENTS = Select(lambda: RunEvent.objects.order_by().values_list("belt_run").annotate(Count("id")))


@dataclass(frozen=True)
class Present:
    """All rows by their ids, and how many events each belt run has."""

    jobs: dict[UUID, JobRow]
    attempts: dict[UUID, AttemptRow]
    runs: dict[UUID, RunRow]
    events: dict[UUID, int]

    @classmethod
    def read(cls) -> Present:
        """Return what is in the database now."""
        return cls(
            jobs={row[0]: JobRow(*row) for row in _JOBS.rows()},
            attempts={row[0]: AttemptRow(*row) for row in _ATTEMPTS.rows()},
            runs={row[0]: RunRow(*row) for row in _RUNS.rows()},
            events=dict(map(tuple, _EVENTS.rows())),
        )

    @property
    def states(self) -> dict[UUID, str]:
        """The states of all rows."""
        return {
            row.id: row.state
            for rows in (self.jobs, self.attempts, self.runs)
            for row in rows.values()
        }

    def running(self, belt_run_id: UUID) -> int:
        """Return how many jobs of the belt run are running."""
        jobs = self.jobs.values()
        return sum(row.belt_run_id == belt_run_id and row.state == "running" for row in jobs)
