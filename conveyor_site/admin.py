"""The admin of what a package of Conveyor's keeps: results of housekeeping tasks, to look at."""

from __future__ import annotations

import django_celery_results.admin  # noqa: F401  # registers its models, before that is undone
from django.contrib import admin
from django_celery_results.models import GroupResult, TaskResult

from products.admin_base import ReadOnlyAdmin

# Tasks of Conveyor make no groups.
admin.site.unregister([GroupResult, TaskResult])


@admin.register(TaskResult)
class HousekeepingResultAdmin(ReadOnlyAdmin):
    """Results of housekeeping tasks, newest first; they go after a week."""

    list_display = ("date_done", "task_name", "status", "task_args", "worker")
    list_filter = ("status",)
    search_fields = ("=task_id", "=task_name", "=worker")
    ordering = ("-date_done",)
    fields = (
        "task_id",
        "task_name",
        "task_args",
        "task_kwargs",
        "status",
        "worker",
        "date_created",
        "date_started",
        "date_done",
        "result",
        "traceback",
    )
