"""Attempts: claiming a job run and keeping its lease.

Claims and renewals are guarded updates in the database. So a duplicate, late or lost hint changes
only the time of a claim. ``runs.begin`` starts attempts, ``runs.finish`` ends them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models import QuerySet, UUIDField
from django.db.models.expressions import Combinable

from products.identifiers import uuid7
from products.remembered import Remembered
from products.statements import NOW, Given, Select, later
from runs.models import Attempt, JobRun
from runs.states import BeltRunState, JobRunState, Reason
from runs.transitions import JobKey, Moves, Why, insert_attempt, moving

#: Number of the oldest job runs that are tried if other runners claim them first.
_CANDIDATES = 10
#: Number of searches for candidates if other runners claimed all of them first.
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class RunnerFacts:
    """The runner that claims; ``protocol`` is the highest that it understands."""

    id: UUID
    name: str
    boot_id: UUID
    protocol: int
    isolation: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job run that is the claimant's until its lease ends; ``number`` counts attempts from 1.

    ``is_tainted`` is read while the belt run's row is held. It holds for this attempt: the values
    of the job were copied before.
    """

    attempt_id: UUID
    job_run_id: UUID
    number: int
    is_tainted: bool


@dataclass(frozen=True, slots=True)
class NextClaim:
    """A wish to claim the oldest job run of these queues."""

    runner: RunnerFacts
    queues: Sequence[str]
    nonce: UUID


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal found: attempts that live on, and those of them that are to be cancelled."""

    alive: frozenset[UUID]
    cancelled: frozenset[UUID]


class AttemptPlace(NamedTuple):
    """Where an attempt belongs; nothing of it ever changes."""

    belt_run_id: UUID
    key: JobKey
    timeout_s: int
    number: int


#: The attempts that this process dealt with last.
_places: Remembered[UUID, AttemptPlace] = Remembered(256)


#: What looks for candidates, by queues, protocol and whether one is named.
_selects: Remembered[tuple[tuple[str, ...], int, bool], Select] = Remembered(64)


class Candidate(NamedTuple):
    """A job run that may be claimed, as it was read before its belt run was locked."""

    id: UUID
    name: str
    queue: str
    belt_run_id: UUID
    timeout_s: int
    last_attempt: int
    belt_run__state: str
    belt_run__tainted: bool

    @property
    def key(self) -> JobKey:
        """Return what moving it needs."""
        return JobKey(self.id, self.name, self.queue)


def claim_job_run(
    runner: RunnerFacts, *, queues: Sequence[str], nonce: UUID, job_run_id: UUID | None = None
) -> Claim | None:
    """Claim that job run, or the oldest of the queues; return None when there is none.

    The same nonce returns the same claim, so that a call whose answer was lost can be repeated,
    and None once the attempt that it made has ended.
    """
    for _ in range(_ROUNDS):
        found = candidates(runner, queues, job_run_id=job_run_id)
        try:
            claim = _claim_first(found, runner, nonce)
        except IntegrityError:
            # The same call was made before, and had an effect.
            if not _is_used(nonce):
                raise
            break
        if claim is not None:
            return claim
        if len(found) < _CANDIDATES:
            break
    return claim_of(nonce)


def _claim_first(found: Sequence[Candidate], runner: RunnerFacts, nonce: UUID) -> Claim | None:
    """Claim the first candidate that no other runner has claimed."""
    for candidate in found:
        untainted = not candidate.belt_run__tainted
        with moving(candidate.belt_run_id, if_untainted=untainted) as moves:
            # A transaction that was quicker may have marked the belt run as tainted.
            present = candidate._replace(belt_run__tainted=not moves.is_untainted)
            claim = claim_candidate(moves, present, runner, nonce)
        if claim is not None:
            return claim
    return None


def _is_used(nonce: UUID) -> bool:
    return Attempt.objects.filter(nonce=nonce).exists()


def claim_of(nonce: UUID) -> Claim | None:
    """Return the claim that was made with the nonce, while its attempt is alive."""
    columns = ("id", "job_run_id", "number", "job_run__belt_run__tainted")
    row = Attempt.objects.filter(nonce=nonce, active_key__isnull=False).values_list(*columns)
    found = row.first()
    return Claim(*found) if found is not None else None


def candidates(
    runner: RunnerFacts, queues: Sequence[str], *, job_run_id: UUID | None = None
) -> list[Candidate]:
    """Return the oldest job runs that the runner may claim, or the named one if it may."""
    key = (tuple(queues), runner.protocol, job_run_id is not None)
    select = _selects.get(key)
    if select is None:
        select = Select(lambda: _candidates(*key))
        _selects.put(key, select)
    return [Candidate(*row) for row in select.rows(id=job_run_id)]


def _candidates(queues: tuple[str, ...], protocol: int, is_named: bool) -> QuerySet[Any, Any]:
    claimable: Any = JobRun.objects.claimable(list(queues), protocol)
    if is_named:
        claimable = claimable.filter(id=Given("id", UUIDField()))
    found: QuerySet[Any, Any] = claimable.values_list(*Candidate._fields)[:_CANDIDATES]
    return found


def claim_candidate(
    moves: Moves, candidate: Candidate, runner: RunnerFacts, nonce: UUID
) -> Claim | None:
    """Claim a job run whose belt run is held; return None when another was quicker.

    ``candidate`` says of the belt run's taint what was read while it was held.
    """
    attempt_id = uuid7()
    number = candidate.last_attempt + 1
    message = f"Claimed by runner {runner.name}."
    moved = moves.job(
        candidate.key,
        JobRunState.QUEUED,
        JobRunState.STARTING,
        Why(Reason.CLAIMED, message),
        attempt_id=attempt_id,
        last_attempt=number,
        guard={"cancel_requested_at__isnull": True, "last_attempt": candidate.last_attempt},
    )
    if not moved:
        return None
    place = AttemptPlace(candidate.belt_run_id, candidate.key, candidate.timeout_s, number)
    _places.put(attempt_id, place)
    moves.no_hint(candidate.id)
    insert_attempt(
        Attempt(
            id=attempt_id,
            job_run_id=candidate.id,
            number=number,
            nonce=nonce,
            runner_id=runner.id,
            runner_name=runner.name[:200],
            boot_id=runner.boot_id,
            isolation=runner.isolation,
            lease_until=lease_end(),
            claimed_at=NOW,
        )
    )
    if candidate.belt_run__state == BeltRunState.PENDING:
        moves.belt(BeltRunState.PENDING, BeltRunState.RUNNING, Why(Reason.CLAIMED, message))
    return Claim(attempt_id, candidate.id, number, is_tainted=candidate.belt_run__tainted)


def renew_leases(runner_id: UUID, attempt_ids: Collection[UUID]) -> Renewal:
    """Renew the leases of the runner's attempts that are alive and whose lease has not ended.

    An attempt that is in neither set of the answer is no longer the runner's.
    """
    own = Attempt.objects.filter(
        id__in=attempt_ids, runner_id=runner_id, active_key__isnull=False, lease_until__gt=NOW
    )
    own.update(lease_until=lease_end())
    rows = list(own.values_list("id", "job_run__cancel_requested_at"))
    return Renewal(
        alive=frozenset(attempt_id for attempt_id, _ in rows),
        cancelled=frozenset(attempt_id for attempt_id, at in rows if at is not None),
    )


def place_of_attempt(attempt_id: UUID) -> AttemptPlace | None:
    """Return where an attempt belongs, None where there is no such attempt."""
    place = _places.get(attempt_id) or _read_place(attempt_id)
    if place is not None:
        _places.put(attempt_id, place)
    return place


def _read_place(attempt_id: UUID) -> AttemptPlace | None:
    row = (
        Attempt.objects.filter(id=attempt_id)
        .values_list(
            "job_run__belt_run_id",
            "job_run_id",
            "job_run__name",
            "job_run__queue",
            "job_run__timeout_s",
            "number",
        )
        .first()
    )
    if row is None:
        return None
    belt_run_id, job_run_id, name, queue, timeout_s, number = row
    return AttemptPlace(belt_run_id, JobKey(job_run_id, name, queue), timeout_s, number)


def lease_end() -> Combinable:
    """Return the end of a lease that is given or renewed now."""
    return later(settings.CONVEYOR_TIMES["lease"])
