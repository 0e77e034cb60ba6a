"""Triggers: what starts a product's belts."""

from __future__ import annotations

from typing import Any

from django.db import models

from belts.spec.keys import NOT_RECEIVED
from products.identifiers import uuid7
from products.models import Product
from products.names import NAME_MAX
from products.querysets import DueQuerySet


class Trigger(models.Model):
    """One trigger of a product as it is now.

    ``details`` holds the keys of the belt file beside the marker; ``upstream_product`` and
    ``upstream_belt`` repeat two of them, so that listeners are found by an index. A broken
    trigger names something that its product lacks: it is kept, shown, and never fires.
    """

    class Kind(models.TextChoices):
        """The marker in the belt file."""

        SCM_EVENT = "scm-event", "event of a repository"
        UPSTREAM_BUILD = "upstream-build", "run of another belt"
        SCHEDULE = "schedule", "schedule"
        MANUAL = "manual", "by hand"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, models.CASCADE, related_name="triggers")
    position = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    details: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    belts: models.JSONField[Any, Any] = models.JSONField(default=list)
    broken = models.TextField(blank=True, default="", editable=False)
    upstream_product = models.CharField(max_length=NAME_MAX, blank=True, default="", editable=False)
    upstream_belt = models.CharField(max_length=NAME_MAX, blank=True, default="", editable=False)
    due_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a schedule fires next."
    )
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = DueQuerySet.as_manager()

    class Meta:
        ordering = ["product__name", "position"]
        indexes = [
            models.Index(fields=["upstream_product", "upstream_belt"], name="trigger_upstream"),
            models.Index(fields=["due_at"], name="trigger_due"),
        ]

    def __str__(self) -> str:
        return f"{self.product}: {self.kind} starts {', '.join(self.belts)}"

    @property
    def not_received(self) -> list[str]:
        """The types of events of this trigger that no source reports yet."""
        types = self.details.get("type", []) if isinstance(self.details, dict) else []
        return [
            each for each in NOT_RECEIVED if each in (types if isinstance(types, list) else [types])
        ]
