"""The outbox: work that must follow a transaction, written in that transaction."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now

from products.identifiers import uuid7
from products.names import NAME_MAX
from products.querysets import DueQuerySet


class OutboxRow(models.Model):
    """Work that must follow a commit. The row is deleted when the work is done.

    ``key`` is unique, so that the same work is one row. ``product_name`` is set if the work may
    wait for the repository of that product. Rows of one product are delivered one after the other:
    the row that is being delivered has the unique ``active_key`` of the product.
    """

    class Kind(models.TextChoices):
        """The kinds of this version; each has one handler in ``conveyor_site.deliver``.

        The column is open: a newer version, or a piece that is added later, may write others. A
        row whose kind has no handler here waits for a process that has one.
        """

        HINT = "hint", "tell runners that a job run is queued"
        EVENT = "event", "start what an event triggers"
        DOWNSTREAM = "downstream", "start a downstream belt"
        RELEASE = "release", "look at waiting job runs of a belt run again"
        IMPORT = "import", "import a product's belt file"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200, unique=True)
    payload: models.JSONField[Any, Any] = models.JSONField(default=dict)
    due_at = models.DateTimeField(db_default=Now())
    product_name = models.CharField(max_length=NAME_MAX, blank=True, default="", db_default="")
    active_key = models.CharField(max_length=NAME_MAX, null=True, blank=True, unique=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DueQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["due_at"], name="outbox_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
