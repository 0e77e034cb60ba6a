"""Belt runs, job runs and attempts in any state."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from belts.models import Belt
from products.identifiers import uuid7
from runners.models import Runner
from runs.models import (
    Attempt,
    BeltRun,
    JobRun,
    RunEvent,
)
from runs.states import (
    BELT_FINISHED,
    CLAIMED,
    FINISHED,
    AttemptState,
    BeltRunState,
    JobRunState,
    Reason,
    final_belt_state,
)
from tests.builders.belts import a_belt, a_definition
from tests.builders.names import MOMENT

_REASONS = {
    JobRunState.WAITING: Reason.CREATED,
    JobRunState.QUEUED: Reason.READY,
    JobRunState.STARTING: Reason.CLAIMED,
    JobRunState.RUNNING: Reason.STARTED,
    JobRunState.SUCCEEDED: Reason.FINISHED,
    JobRunState.FAILED: Reason.EXIT_STATUS,
    JobRunState.ERRORED: Reason.RUNNER_LOST,
    JobRunState.CANCELLED: Reason.CANCEL_REQUESTED,
    JobRunState.SKIPPED: Reason.UPSTREAM_FAILED,
}

Jobs = Mapping[str, str] | Sequence[str]


def a_belt_run(
    jobs: Jobs = ("compile",),
    *,
    belt: Belt | None = None,
    state: str | None = None,
    upstream: BeltRun | None = None,
    **fields: Any,
) -> BeltRun:
    """Return a belt run with a job run for each of ``jobs``: names, or states by name.

    A job without a state is queued if it is the first and waiting if not. The state of the belt
    run follows from its jobs unless given; an upstream run also gives root and depth.
    """
    states = _states(jobs)
    belt = belt or a_belt(jobs=list(states))
    number = fields.pop("number", None) or _next_number(belt)
    chosen = BeltRunState(state) if state else _belt_state(list(states.values()))
    now = timezone.now()
    given: dict[str, Any] = {
        "definition": a_definition(belt.product, {belt.name: list(states)}),
        "cause": "Started by a test.",
        "commit": hashlib.sha256(f"{belt.pk}{number}".encode()).hexdigest()[:40],
        "branch": "main",
        "started_at": None if chosen == BeltRunState.PENDING else now - MOMENT,
        "finished_at": now if chosen in BELT_FINISHED else None,
    }
    if upstream is not None:
        given |= {"root_id": upstream.root_id_or_own, "depth": upstream.depth + 1}
    run = BeltRun.objects.create(
        belt=belt, number=number, state=chosen, upstream=upstream, **{**given, **fields}
    )
    for position, (name, job_state) in enumerate(states.items()):
        _a_job_of(run, name, position=position, state=job_state)
    return run


def _states(jobs: Jobs) -> dict[str, JobRunState]:
    if isinstance(jobs, Mapping):
        return {name: JobRunState(state) for name, state in jobs.items()}
    return {
        name: JobRunState.WAITING if index else JobRunState.QUEUED
        for index, name in enumerate(jobs)
    }


def _belt_state(states: Sequence[JobRunState]) -> BeltRunState:
    if all(state in FINISHED for state in states):
        return final_belt_state(states)
    begun = any(state in CLAIMED or state in FINISHED for state in states)
    return BeltRunState.RUNNING if begun else BeltRunState.PENDING


def _next_number(belt: Belt) -> int:
    belt.last_number += 1
    belt.save(update_fields=["last_number"])
    return belt.last_number


def _a_job_of(run: BeltRun, name: str, *, state: JobRunState, **fields: Any) -> JobRun:
    now = timezone.now()
    begun = state in CLAIMED or state in FINISHED - {JobRunState.SKIPPED}
    given: dict[str, Any] = {
        "queue": "default",
        "timeout_s": 3600,
        "reason": _REASONS[state],
        "queued_at": None if state == JobRunState.WAITING else now - 2 * MOMENT,
        "available_at": now - 2 * MOMENT if state == JobRunState.QUEUED else None,
        "started_at": now - MOMENT if begun and state != JobRunState.STARTING else None,
        "finished_at": now if state in FINISHED else None,
    }
    job_run = JobRun.objects.create(belt_run=run, name=name, state=state, **{**given, **fields})
    RunEvent.objects.create(belt_run=run, job_run=job_run, new=state, reason=job_run.reason)
    return job_run


def a_job_run(
    state: str = "queued", *, name: str = "compile", belt_run: BeltRun | None = None, **fields: Any
) -> JobRun:
    """Return a job run in that state, in a belt run of its own unless one is given."""
    if belt_run is None:
        belt_run = a_belt_run({name: state})
        JobRun.objects.filter(belt_run=belt_run).update(**fields)
        return JobRun.objects.get(belt_run=belt_run)
    position = fields.pop("position", belt_run.job_runs.count())
    return _a_job_of(belt_run, name, state=JobRunState(state), position=position, **fields)


def a_queued_job_run(*, queue: str = "default", **fields: Any) -> JobRun:
    """Return a job run that may be claimed."""
    return a_job_run("queued", queue=queue, **fields)


def an_attempt(
    job_run: JobRun | None = None,
    state: str = "running",
    *,
    runner: Runner | None = None,
    **fields: Any,
) -> Attempt:
    """Return the next attempt of a job run, by a runner that need not exist."""
    job_run = job_run or a_job_run(state)
    alive = state in ("starting", "running")
    now = timezone.now()
    number = job_run.last_attempt + 1
    given: dict[str, Any] = {
        "nonce": uuid4(),
        "active_key": job_run.id if alive else None,
        "runner_id": runner.id if runner else uuid7(),
        "runner_name": runner.name if runner else "runner",
        "boot_id": runner.boot_id if runner else uuid4(),
        "lease_until": now + timedelta(minutes=1),
        "claimed_at": now - 2 * MOMENT,
        "started_at": None if state == "starting" else now - MOMENT,
        "finished_at": None if alive else now,
        "reason": _REASONS[JobRunState(state)],
    }
    attempt = Attempt.objects.create(
        job_run=job_run, number=number, state=AttemptState(state), **{**given, **fields}
    )
    JobRun.objects.filter(pk=job_run.pk).update(last_attempt=number, attempts_made=number)
    job_run.refresh_from_db()
    return attempt
