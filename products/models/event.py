"""Events: something happened in a source that may start belts."""

from __future__ import annotations

from typing import Any

from django.db import models

from products.identifiers import uuid7
from products.models.product import Product
from products.models.source import Source


class Event(models.Model):
    """One new commit, tag or pull request of a source, or one tick of a schedule.

    ``kinds`` lists everything that the one happening is, such as ``["push", "merge"]`` for a new
    commit on the default branch. The unique key makes a happening that was seen twice one event.
    """

    class Origin(models.TextChoices):
        """Who told of the event."""

        POLL = "poll", "polling"
        WEBHOOK = "webhook", "a webhook"
        SCHEDULE = "schedule", "a schedule"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, models.CASCADE, related_name="events")
    source = models.ForeignKey(
        Source, models.SET_NULL, null=True, blank=True, related_name="events"
    )
    kinds: models.JSONField[Any, Any] = models.JSONField(default=list)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.POLL)
    key = models.CharField(
        max_length=700,
        help_text="Identifies the event. A second event with this key is not stored.",
    )
    ref = models.CharField(max_length=500, blank=True, default="")
    branch = models.CharField(max_length=255, blank=True, default="")
    commit = models.CharField(max_length=64, blank=True, default="")
    details: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    tainted = models.BooleanField(default=False, help_text="Comes from a fork: no credentials.")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    handled_at = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(
        blank=True, default="", help_text="What the event started, as a sentence."
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["product", "key"], name="one_event_per_happening"),
        ]

    def __str__(self) -> str:
        return f"{'+'.join(self.kinds)} of {self.product} at {self.commit[:12] or self.key}"

    @property
    def is_pull_request(self) -> bool:
        """Whether its commit is proposed, so that it is in no branch that counts yet."""
        return "pull-request" in self.kinds
