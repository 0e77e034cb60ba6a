"""Warnings about queued job runs that no runner claims.

Runners belong to a higher app, which passes a function to the views here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from runs.models import JobRun
from runs.states import JobRunState

#: Returns a sentence for each queue, with the protocol that the job run needs, that is not served.
UnservedQueues = Callable[[Collection[tuple[str, int]]], Mapping[tuple[str, int], str]]

SILENT_FOR = timedelta(seconds=60)


def nothing_known(wanted: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
    """Return no sentence: for views that no higher app has given a function."""
    return {}


def queue_warning(job_run: JobRun, unserved: UnservedQueues | None) -> str:
    """Return the warning for one job run; empty if there is none."""
    return queue_warnings([job_run], unserved or nothing_known).get(job_run.pk, "")


def queue_warnings(job_runs: Iterable[JobRun], unserved: UnservedQueues) -> dict[UUID, str]:
    """Return warnings for the job runs that were queued long ago and whose queue is not served.

    ``unserved`` is called only if a job run was queued long ago.
    """
    latest = timezone.now() - SILENT_FOR
    waiting = {
        each.pk: (each.queue, each.protocol)
        for each in job_runs
        if each.state == JobRunState.QUEUED and each.queued_at and each.queued_at < latest
    }
    if not waiting:
        return {}
    sentences = unserved(set(waiting.values()))
    return {pk: sentences[wanted] for pk, wanted in waiting.items() if wanted in sentences}
