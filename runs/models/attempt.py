"""Attempts and their logs."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from products.identifiers import uuid7
from runs.models.job_run import JobRun
from runs.states import AttemptState


class Attempt(models.Model):
    """One try of a job run by one runner; its id fences everything that the runner writes.

    ``active_key`` is the job run's id while the attempt is alive and null afterwards, so that a
    plain unique constraint lets no job run have two. ``nonce`` makes a claim whose answer was
    lost readable again. ``runner_id`` is a plain UUID: runners belong to a higher app.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The index of the unique constraint begins with it; so does that of pieces of a log.
    job_run = models.ForeignKey(JobRun, models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveIntegerField()
    nonce = models.UUIDField(unique=True)
    active_key = models.UUIDField(null=True, blank=True, unique=True)
    state = models.CharField(
        max_length=10, choices=AttemptState.choices, default=AttemptState.STARTING
    )
    reason = models.CharField(max_length=20, default="claimed")
    message = models.TextField(blank=True, default="")
    runner_id = models.UUIDField()
    runner_name = models.CharField(max_length=200)
    boot_id = models.UUIDField()
    isolation = models.CharField(max_length=10, blank=True, default="")
    lease_until = models.DateTimeField()
    deadline_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The server ends the attempt at this time if its runner did not.",
    )
    claimed_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    log_bytes = models.PositiveBigIntegerField(default=0)
    log_sha256 = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ["job_run", "number"]
        constraints = [
            models.UniqueConstraint(fields=["job_run", "number"], name="one_attempt_a_number"),
            models.CheckConstraint(
                condition=Q(state__in=AttemptState.values), name="attempt_state_known"
            ),
            models.CheckConstraint(
                condition=Q(active_key__isnull=False, state__in=["starting", "running"])
                | Q(active_key__isnull=True, finished_at__isnull=False),
                name="attempt_active_iff_alive",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "lease_until"], name="attempt_lease"),
            models.Index(fields=["runner_id", "state"], name="attempt_of_runner"),
        ]

    def __str__(self) -> str:
        return f"{self.job_run} attempt {self.number}"


class LogChunk(models.Model):
    """A piece of an attempt's log, in order of ``sequence``; inserted once, never changed.

    ``offset`` and ``size`` are in bytes of the log; ``data`` is compressed with zlib where
    ``compressed`` says so.
    """

    class Stream(models.TextChoices):
        """Who wrote it."""

        STDOUT = "stdout"
        STDERR = "stderr"
        CONTROL = "control"

    id = models.BigAutoField(primary_key=True)
    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="log_chunks", db_index=False)
    sequence = models.PositiveIntegerField()
    stream = models.CharField(max_length=7, choices=Stream.choices)
    offset = models.PositiveBigIntegerField()
    size = models.PositiveIntegerField()
    compressed = models.BooleanField(default=False)
    data = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["attempt", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["attempt", "sequence"], name="one_chunk_a_sequence"),
        ]

    def __str__(self) -> str:
        return f"{self.attempt_id} {self.stream} {self.sequence}"
