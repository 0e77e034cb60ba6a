"""Run events: a row for every move, inserted with the move."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from runs.models.belt_run import BeltRun
from runs.models.job_run import JobRun


class RunEvent(models.Model):
    """A move of a belt run (no job run) or of a job run; never changed."""

    id = models.BigAutoField(primary_key=True)
    belt_run = models.ForeignKey(BeltRun, models.CASCADE, related_name="run_events")
    job_run = models.ForeignKey(
        JobRun, models.CASCADE, null=True, blank=True, related_name="run_events"
    )
    attempt_id = models.UUIDField(null=True, blank=True)
    old = models.CharField(max_length=10, blank=True, default="")
    new = models.CharField(max_length=10)
    reason = models.CharField(max_length=20, blank=True, default="")
    message = models.TextField(blank=True, default="")
    by = models.CharField(max_length=200, blank=True, default="")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.old or 'new'} → {self.new}"
