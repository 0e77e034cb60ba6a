"""Warnings about queued job runs whose queue no runner serves.

Runners belong to a higher app, which passes the served queues to the views here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from runs.models import JobRun
from runs.states import JobRunState

#: Returns the queues from which some living runner claims.
ServedQueues = Callable[[], set[str]]

SILENT_FOR = timedelta(seconds=60)


def queue_warning(job_run: JobRun, served: ServedQueues | None) -> str:
    """Return the warning for one job run; empty if there is none."""
    return queue_warnings([job_run], served or set).get(job_run.pk, "")


def queue_warnings(job_runs: Iterable[JobRun], served: ServedQueues) -> dict[UUID, str]:
    """Return warnings for the job runs that were queued long ago and whose queue is not served.

    ``served`` is called only if a job run was queued long ago.
    """
    latest = timezone.now() - SILENT_FOR
    waiting = [
        each
        for each in job_runs
        if each.state == JobRunState.QUEUED and each.queued_at and each.queued_at < latest
    ]
    if not waiting:
        return {}
    queues = served()
    return {
        each.pk: f"No runner serves queue {each.queue}. Start one with: "
        f"manage.py runner --queues {each.queue}"
        for each in waiting
        if each.queue not in queues
    }
