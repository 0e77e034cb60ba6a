"""Beginning an attempt: the commit after which something of the user's may be executed."""

from __future__ import annotations

from uuid import UUID

from products.statements import NOW, later
from runs.attempts import AttemptPlace, lease_end, place_of_attempt
from runs.finish import cancelled_end, end_attempt_by_server
from runs.models import Attempt, BeltRun
from runs.release import frozen_run, job_of
from runs.states import AttemptState, JobRunState, Reason
from runs.transitions import Moves, Why, moving

#: The server gives a job this much longer than its runner does, in seconds.
_DEADLINE_GRACE_S = 120


class _NotStartingError(Exception):
    """The job run may not start, so the attempt's start is not kept either."""


def start_attempt(attempt_id: UUID, *, isolation: str) -> bool:
    """Commit that the attempt's commands begin now; return False when they must not.

    They must not when the attempt is no longer alive, or when its cancel was asked for: then it
    ends as cancelled here. Only what this has committed may be executed, and only once. Calling it
    again after a lost answer returns True, unless a cancel was asked for meanwhile.
    """
    place = place_of_attempt(attempt_id)
    allowed_s = _time_allowed(place) if place is not None else None
    if place is None or allowed_s is None:
        return False
    try:
        with moving(place.belt_run_id, is_shared=True) as moves:
            started = _start(moves, attempt_id, place, allowed_s, isolation)
    except _NotStartingError:
        started = False
    return started or _has_started(attempt_id)


def _time_allowed(place: AttemptPlace) -> float | None:
    """Return the seconds after which the server ends the attempt, None where its run is gone."""
    try:
        job = job_of(frozen_run(place.belt_run_id), place.key.name)
    except BeltRun.DoesNotExist:
        return None
    post_run_s = job.post_run_timeout_s if job else 0
    return place.timeout_s + post_run_s + _DEADLINE_GRACE_S


def _start(
    moves: Moves, attempt_id: UUID, place: AttemptPlace, allowed_s: float, isolation: str
) -> bool:
    started = moves.attempt(
        attempt_id,
        AttemptState.STARTING,
        AttemptState.RUNNING,
        guard={"lease_until__gt": NOW},
        reason=Reason.STARTED,
        started_at=NOW,
        lease_until=lease_end(),
        deadline_at=later(allowed_s),
        isolation=isolation,
    )
    if started and not moves.job(
        place.key,
        JobRunState.STARTING,
        JobRunState.RUNNING,
        Why(Reason.STARTED),
        attempt_id=attempt_id,
        guard={"cancel_requested_at__isnull": True},
    ):
        raise _NotStartingError
    return started


def _has_started(attempt_id: UUID) -> bool:
    """Return whether an attempt that did not start now had started; end one that was cancelled."""
    columns = ("state", "job_run__cancel_requested_at", "job_run__cancel_requested_by")
    alive = Attempt.objects.filter(id=attempt_id, active_key__isnull=False)
    for state, cancelled_at, by in alive.values_list(*columns):
        if cancelled_at is None:
            return bool(state == AttemptState.RUNNING)
        end_attempt_by_server(attempt_id, cancelled_end(by))
    return False
