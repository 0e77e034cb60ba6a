"""Job runs: one execution of a job in a belt run."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse

from products.identifiers import uuid7
from products.names import NAME_MAX
from runs.models.belt_run import BeltRun
from runs.querysets import JobRunQuerySet
from runs.states import FINISHED, UNFINISHED, JobRunState, Reason


class JobRun(models.Model):
    """One execution of a job; what to execute is in the belt run's definition, by name.

    ``needs`` are the names of the job runs of the same belt run that must succeed first.
    ``attempts_made`` counts tries that count against ``retry``; an attempt that never started is
    not among them. ``protocol`` is the lowest runner protocol that understands the job.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No index of its own, here and below: those of Meta begin with it, and every move of a job run
    # writes to each of its indexes.
    belt_run = models.ForeignKey(BeltRun, models.CASCADE, related_name="job_runs", db_index=False)
    name = models.CharField(max_length=NAME_MAX)
    position = models.PositiveIntegerField(default=0)
    needs: models.JSONField[Any, Any] = models.JSONField(default=list)
    queue = models.CharField(max_length=63)
    timeout_s = models.PositiveIntegerField()
    protocol = models.PositiveIntegerField(default=1)
    state = models.CharField(
        max_length=10, choices=JobRunState.choices, default=JobRunState.WAITING
    )
    reason = models.CharField(max_length=20, choices=Reason.choices, default=Reason.CREATED)
    message = models.TextField(blank=True, default="", help_text="The reason as a sentence.")
    attempts_made = models.PositiveIntegerField(default=0)
    last_attempt = models.PositiveIntegerField(default=0, help_text="Number of the newest.")
    reused_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="reuses", db_index=False
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(null=True, blank=True)
    available_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="A runner claims the job run after this time. A retry sets it.",
    )
    hinted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobRunQuerySet.as_manager()

    class Meta:
        ordering = ["belt_run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["belt_run", "name"], name="one_run_of_a_job"),
            models.CheckConstraint(
                condition=Q(state__in=JobRunState.values), name="job_run_state_known"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, state__in=sorted(UNFINISHED))
                | Q(finished_at__isnull=False, state__in=sorted(FINISHED)),
                name="job_run_ended_iff_final",
            ),
        ]
        indexes = [
            # In the order in which they are claimed: the oldest is found without looking at others.
            models.Index(fields=["state", "queue", "available_at", "id"], name="job_run_oldest"),
            models.Index(fields=["state", "id"], name="job_run_by_state"),
            models.Index(fields=["belt_run", "state"], name="job_run_of_belt_run"),
            models.Index(
                fields=["reused_from"],
                condition=Q(reused_from__isnull=False),
                name="job_run_reused",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.belt_run}: {self.name}"

    def get_absolute_url(self) -> str:
        """Return the path of the job run's page."""
        return reverse("job-run", args=[self.pk])

    @property
    def is_finished(self) -> bool:
        """Whether its state is final."""
        return self.state in FINISHED

    @property
    def handed_on(self) -> models.QuerySet[Any]:
        """Return the outputs that it stands for: its own, or those of what it reuses."""
        producer: JobRun = self.reused_from or self
        return producer.outputs.all()
