"""Cancelling: a request for what a runner has, the end at once for everything else."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from runs.errors import RunFinishedError, RunGoneError
from runs.models import BeltRun, JobRun
from runs.release import follow_up, read_run
from runs.states import CLAIMED, JobRunState, Reason
from runs.transitions import JobKey, Moves, Why, moving

_UNCLAIMED = (JobRunState.WAITING, JobRunState.QUEUED)


def cancel_job_run(job_run: JobRun, *, by: str) -> None:
    """Cancel a job run: at once if no runner has it, else by a request to its runner.

    Asking again changes nothing. Raises RunFinishedError when it has ended, and RunGoneError when
    it was removed.
    """
    with moving(job_run.belt_run_id) as moves:
        rows = JobRun.objects.select_related("belt_run__belt__product")
        present = rows.filter(id=job_run.id).first()
        if present is None:
            raise RunGoneError(job_run)
        if present.is_finished:
            raise RunFinishedError(present)
        _cancel(moves, present, by)
        follow_up(moves, read_run(job_run.belt_run_id))


def cancel_belt_run(run: BeltRun, *, by: str) -> None:
    """Cancel a belt run and all its job runs that have not ended.

    Asking again changes nothing. Raises RunFinishedError when it has ended, and RunGoneError when
    it was removed.
    """
    with moving(run.id) as moves:
        try:
            present = read_run(run.id)
        except BeltRun.DoesNotExist as error:
            raise RunGoneError(run) from error
        if present.is_finished:
            raise RunFinishedError(present)
        BeltRun.objects.filter(id=run.id, cancel_requested_at__isnull=True).update(
            cancel_requested_at=Now(), cancel_requested_by=by[:200]
        )
        for job_run in JobRun.objects.filter(belt_run=run).order_by("position"):
            if not job_run.is_finished:
                _cancel(moves, job_run, by)
        follow_up(moves, read_run(run.id))


def _cancel(moves: Moves, job_run: JobRun, by: str) -> None:
    state = JobRunState(job_run.state)
    request: dict[str, Any] = {"cancel_requested_at": Now(), "cancel_requested_by": by[:200]}
    if state in _UNCLAIMED:
        key = JobKey(job_run.id, job_run.name, job_run.queue)
        why = Why(Reason.CANCEL_REQUESTED, f"Cancelled by {by}.", by)
        moves.job(key, state, JobRunState.CANCELLED, why, **request)
    elif job_run.cancel_requested_at is None:
        JobRun.objects.filter(
            id=job_run.id, state__in=CLAIMED, cancel_requested_at__isnull=True
        ).update(**request)
