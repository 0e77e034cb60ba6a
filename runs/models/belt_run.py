"""Belt runs: one passage over a belt, frozen when it is created."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from belts.models import Belt, Definition
from products.identifiers import uuid7
from products.models import Event
from runs.querysets import BeltRunQuerySet
from runs.states import BELT_FINISHED, BeltRunState


class BeltRun(models.Model):
    """One run of a belt: its definition, commit, suppliers and edges are fixed at creation.

    The cause is an event, an upstream belt run, a person, or the belt run that it repeats. A
    repeat keeps the number and counts up the round. ``moves`` is counted up by every transaction
    that moves something in the run, but for starts: it makes those transactions wait for one
    another.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    belt = models.ForeignKey(Belt, models.CASCADE, related_name="runs")
    definition = models.ForeignKey(Definition, models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    round = models.PositiveIntegerField(default=1)
    state = models.CharField(
        max_length=10, choices=BeltRunState.choices, default=BeltRunState.PENDING
    )

    event = models.ForeignKey(
        Event, models.SET_NULL, null=True, blank=True, related_name="belt_runs"
    )
    upstream = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="downstream_runs"
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    cause = models.CharField(max_length=500, default="", help_text="The cause as a sentence.")
    root = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="chain_runs",
        help_text="The first belt run of the chain. Empty for that run itself.",
    )
    depth = models.PositiveIntegerField(
        default=0, help_text="Number of hops from the first belt run of the chain."
    )
    rerun_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="reruns"
    )

    source_url = models.CharField(max_length=1000, blank=True, default="")
    commit = models.CharField(max_length=64, blank=True, default="")
    ref = models.CharField(max_length=500, blank=True, default="")
    branch = models.CharField(max_length=255, blank=True, default="")
    on_default_branch = models.BooleanField(default=True)
    tainted = models.BooleanField(default=False, help_text="Code of a fork took part.")
    parameters: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    continue_downstream = models.BooleanField(default=True)

    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    moves = models.PositiveIntegerField(default=0, editable=False)

    objects = BeltRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["belt", "number", "round"], name="one_round_of_a_number"
            ),
            # Every round of a run has its event; an event makes the first round of one run.
            models.UniqueConstraint(fields=["event", "belt", "round"], name="one_round_per_event"),
            models.UniqueConstraint(fields=["upstream", "belt"], name="one_run_per_upstream"),
            models.CheckConstraint(
                condition=Q(state__in=BeltRunState.values), name="belt_run_state_known"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, state__in=["pending", "running"])
                | Q(finished_at__isnull=False, state__in=sorted(BELT_FINISHED)),
                name="belt_run_ended_iff_final",
            ),
        ]
        indexes = [
            models.Index(fields=["belt", "-number", "-round"], name="belt_run_newest"),
            models.Index(fields=["root", "id"], name="belt_run_of_root"),
            models.Index(fields=["belt", "state", "-number"], name="belt_run_latest_by_state"),
            models.Index(fields=["state", "id"], name="belt_run_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.belt} {self.label}"

    def get_absolute_url(self) -> str:
        """Return the path of the belt run's page."""
        return reverse("belt-run", args=[self.pk])

    @property
    def label(self) -> str:
        """Return the number as people say it, with the round where there is more than one."""
        return f"#{self.number}" if self.round == 1 else f"#{self.number} round {self.round}"

    @property
    def is_finished(self) -> bool:
        """Whether its state is final."""
        return self.state in BELT_FINISHED

    @property
    def root_id_or_own(self) -> Any:
        """Return the id of the belt run at which the chain began."""
        return self.root_id or self.id
