"""Removing what is older than the site keeps, in small batches."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from products.configuration import current
from products.models import Event
from runs.models import BeltRun, LogChunk, Supplier
from runs.states import BeltRunState, JobRunState


def remove_old_runs(limit: int = 50) -> int:
    """Remove belt runs that ended longer ago than the site keeps them; return how many.

    Kept are the newest successful run of each belt, which may supply others, and runs that a
    waiting job still takes values from. Values that were consumed stay with their consumers.
    """
    days = current().retention_days
    if not days:
        return 0
    newer = BeltRun.objects.filter(
        belt=OuterRef("belt"), state=BeltRunState.SUCCEEDED, number__gt=OuterRef("number")
    )
    wanted = Supplier.objects.filter(belt_run=OuterRef("pk"), consumer__state=JobRunState.WAITING)
    old = (
        BeltRun.objects.filter(finished_at__lt=Now() - timedelta(days=days))
        .filter(~Exists(wanted))
        .exclude(~Exists(newer), state=BeltRunState.SUCCEEDED)
    )
    ids = list(old.order_by("id").values_list("id", flat=True)[:limit])
    for run_id in ids:
        # The logs are most of it, and need no look at what hangs on them.
        LogChunk.objects.filter(attempt__job_run__belt_run_id=run_id)._raw_delete("default")
        BeltRun.objects.filter(id=run_id).delete()
    return len(ids)


def remove_old_events(limit: int = 500) -> int:
    """Remove events that were handled longer ago than the site keeps runs; return how many."""
    days = current().retention_days
    if not days:
        return 0
    old = Event.objects.filter(handled_at__lt=Now() - timedelta(days=days), belt_runs__isnull=True)
    ids = list(old.order_by("id").values_list("id", flat=True)[:limit])
    Event.objects.filter(id__in=ids).delete()
    return len(ids)
