"""Results of housekeeping tasks, which operators see in the admin, go after a while."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now
from django_celery_results.models import TaskResult

#: Days for which a result can be looked at.
KEPT_DAYS = 7


def remove_old_task_results(limit: int) -> int:
    """Remove results of tasks that ended long ago, at most ``limit``; return how many."""
    old = TaskResult.objects.filter(date_done__lt=Now() - timedelta(days=KEPT_DAYS))
    ids = list(old.order_by("date_done").values_list("pk", flat=True)[:limit])
    if ids:
        TaskResult.objects.filter(pk__in=ids).delete()
    return len(ids)
