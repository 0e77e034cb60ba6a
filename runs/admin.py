"""The admin of runs: everything the engine wrote, to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from products.admin_base import DottedSearch, ReadOnlyAdmin
from runs.models import (
    Attempt,
    BeltRun,
    Consumption,
    Edge,
    JobRun,
    LogChunk,
    Output,
    RunEvent,
    Supplier,
)

_SHORT_COMMIT = 12


@admin.register(BeltRun)
class BeltRunAdmin(DottedSearch, ReadOnlyAdmin):
    """Belt runs, newest first."""

    list_display = ("__str__", "state", "cause", "branch", "short", "created_at", "finished_at")
    list_filter = ("state",)
    list_select_related = ("belt__product",)
    search_fields = ("=belt__product__name", "=belt__name", "=commit")

    @admin.display(description="commit")
    def short(self, run: BeltRun) -> str:
        """Return the short commit."""
        return run.commit[:_SHORT_COMMIT]


@admin.register(JobRun)
class JobRunAdmin(DottedSearch, ReadOnlyAdmin):
    """Job runs, newest first."""

    list_display = ("__str__", "state", "reason", "message", "queue", "queued_at", "finished_at")
    list_filter = ("state",)
    list_select_related = ("belt_run__belt__product",)
    search_fields = (
        "=name",
        "=belt_run__belt__product__name",
        "=belt_run__belt__name",
        "=queue",
    )
    ordering = ("-id",)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Attempts, newest first."""

    list_display = ("__str__", "state", "reason", "runner_name", "isolation", "lease_until")
    list_filter = ("state",)
    list_select_related = ("job_run__belt_run__belt__product",)
    search_fields = ("=runner_name", "=job_run__name", "=job_run__belt_run__belt__product__name")
    ordering = ("-id",)


@admin.register(LogChunk)
class LogChunkAdmin(ReadOnlyAdmin):
    """Pieces of logs; what they say is on the page of the job run."""

    list_display = ("id", "attempt_id", "sequence", "stream", "offset", "size", "created_at")
    list_filter = ("stream",)
    search_fields = ("=attempt__id",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the chunks without their data."""
        return super().get_queryset(request).defer("data")


@admin.register(Edge)
class EdgeAdmin(ReadOnlyAdmin):
    """From belt runs to what they start."""

    list_display = ("upstream", "product_name", "belt_name", "fired_at", "started", "note")
    list_select_related = ("upstream__belt__product", "started__belt__product")
    search_fields = ("=product_name", "=belt_name")
    ordering = ("-id",)


@admin.register(RunEvent)
class RunEventAdmin(ReadOnlyAdmin):
    """Every move of every run."""

    list_display = ("at", "about", "old", "new", "reason", "by", "message")
    list_filter = ("new",)
    list_select_related = ("belt_run__belt__product", "job_run__belt_run__belt__product")
    ordering = ("-id",)

    @admin.display(description="run")
    def about(self, event: RunEvent) -> str:
        """Return the job run that moved, or the belt run."""
        return str(event.job_run or event.belt_run)


@admin.register(Output)
class OutputAdmin(ReadOnlyAdmin):
    """Values that job runs handed on."""

    list_display = ("job_run", "name", "type", "created_at")
    list_select_related = ("job_run__belt_run__belt__product",)
    search_fields = ("=name", "=job_run__belt_run__belt__product__name")
    ordering = ("-id",)


@admin.register(Supplier)
class SupplierAdmin(ReadOnlyAdmin):
    """Which runs supply which job runs."""

    list_display = ("consumer", "product_name", "belt_name", "job_name", "belt_run", "how")
    list_filter = ("how",)
    list_select_related = ("consumer__belt_run__belt__product", "belt_run__belt__product")
    search_fields = ("=product_name", "=belt_name")
    ordering = ("-id",)


@admin.register(Consumption)
class ConsumptionAdmin(ReadOnlyAdmin):
    """Which job runs received which values."""

    list_display = ("consumer", "reference", "supplier_label", "output")
    list_select_related = (
        "consumer__belt_run__belt__product",
        "output__job_run__belt_run__belt__product",
    )
    search_fields = ("=reference",)
    ordering = ("-id",)
