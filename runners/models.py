"""Fleets and runners."""

from __future__ import annotations

from typing import Any

from django.db import models

from products.identifiers import uuid7
from products.models import Product
from products.names import NAME_MAX, validate_name, validate_queue


class Fleet(models.Model):
    """The runners of one queue: who may use them and what they give to jobs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=NAME_MAX, unique=True, validators=[validate_name])
    queue = models.CharField(max_length=63, unique=True, validators=[validate_queue])
    description = models.TextField(blank=True, default="")
    all_products = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Every product may use it. Else only the products below may, and none if there "
        "are none.",
    )
    products = models.ManyToManyField(
        Product,
        blank=True,
        related_name="fleets",
        help_text="The only products that may use it.",
    )
    job_path = models.CharField(
        max_length=1000,
        blank=True,
        default="",
        help_text="PATH of its jobs; empty means system folders (a non-root runner: its own).",
    )
    root_jobs = models.BooleanField(
        default=False, help_text="Jobs of this fleet run as root, without isolation. Dangerous."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Runner(models.Model):
    """One running (or gone) ``manage.py runner``; a new start of it has a new ``boot_id``."""

    class State(models.TextChoices):
        """What it says of itself; offline is also what silence means."""

        ONLINE = "online"
        DRAINING = "draining"
        OFFLINE = "offline"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200, unique=True)
    host = models.CharField(max_length=200)
    boot_id = models.UUIDField()
    version = models.CharField(max_length=40)
    protocol = models.PositiveIntegerField()
    queues: models.JSONField[Any, Any] = models.JSONField(default=list)
    slots = models.PositiveIntegerField(default=1)
    isolation = models.CharField(max_length=10, blank=True, default="")
    isolation_report: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    said = models.CharField(max_length=10, choices=State.choices, default=State.ONLINE)
    trouble = models.TextField(blank=True, default="", db_default="")
    drain_requested_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
