"""Removal of runs and events that are older than the retention, in small batches."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from products.configuration import current
from products.models import Event
from runs.models import BeltRun, Edge, JobRun, LogChunk, Supplier
from runs.states import JobRunState

#: What an edge says instead of the run that it started.
_GONE = "The run that it started is no longer kept."


def remove_old_runs(limit: int = 50) -> int:
    """Remove belt runs that ended longer ago than the site keeps them; return how many.

    Kept are the newest run of each belt that may supply others unasked, runs that a waiting job
    still takes values from, and rounds whose jobs a later one keeps. Values that were consumed stay
    with their consumers.
    """
    days = current().retention_days
    if not days:
        return 0
    able = BeltRun.objects.succeeded().suppliers_of_latest()
    newer = able.filter(belt=OuterRef("belt"), number__gt=OuterRef("number"))
    newest = able.filter(~Exists(newer), pk=OuterRef("pk"))
    wanted = Supplier.objects.filter(belt_run=OuterRef("pk"), consumer__state=JobRunState.WAITING)
    reused = JobRun.objects.filter(reused_from__belt_run=OuterRef("pk"))
    old = BeltRun.objects.filter(finished_at__lt=Now() - timedelta(days=days)).filter(
        ~Exists(wanted), ~Exists(newest), ~Exists(reused)
    )
    ids = list(old.order_by("id").values_list("id", flat=True)[:limit])
    for run_id in ids:
        _remove(run_id)
    return len(ids)


def _remove(run_id: UUID) -> None:
    # The logs are most of it, and need no look at what hangs on them.
    LogChunk.objects.filter(attempt__job_run__belt_run_id=run_id)._raw_delete("default")
    with transaction.atomic():
        Edge.objects.filter(started_id=run_id).update(closed_at=Now(), note=_GONE)
        BeltRun.objects.filter(id=run_id).delete()


def remove_old_events(limit: int = 500) -> int:
    """Remove events that were handled longer ago than the site keeps runs; return how many."""
    days = current().retention_days
    if not days:
        return 0
    old = Event.objects.filter(handled_at__lt=Now() - timedelta(days=days), belt_runs__isnull=True)
    ids = list(old.order_by("id").values_list("id", flat=True)[:limit])
    Event.objects.filter(id__in=ids).delete()
    return len(ids)
