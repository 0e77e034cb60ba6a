"""Job runs that wait for a runner that does not exist.

Runners belong to a higher app, which hands the queues that they serve to the views here.
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
    """Return the warning for one job run, else an empty text."""
    return queue_warnings([job_run], served or set).get(job_run.pk, "")


def queue_warnings(job_runs: Iterable[JobRun], served: ServedQueues) -> dict[UUID, str]:
    """Return the warnings for job runs that wait long in a queue without a runner.

    ``served`` is called only when a job run has been queued for long.
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
