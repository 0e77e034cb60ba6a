"""Edges: from a belt run to the downstream belts that it will start."""

from __future__ import annotations

from typing import Any

from django.db import models

from products.identifiers import uuid7
from products.names import NAME_MAX
from runs.models.belt_run import BeltRun


class Edge(models.Model):
    """One downstream belt of a belt run, stored when the belt run is created.

    ``after_jobs`` names the jobs that must have succeeded; empty means that the whole belt run
    must have ended in a state of ``on``. Later declarations of the same pair are kept in
    ``merged``, as sentences. An edge ends fired, or closed with the sentence why not.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    upstream = models.ForeignKey(BeltRun, models.CASCADE, related_name="edges")
    product_name = models.CharField(max_length=NAME_MAX)
    belt_name = models.CharField(max_length=NAME_MAX)
    after_jobs: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    on: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    declared = models.CharField(max_length=300, default="", help_text="Where it is declared.")
    merged: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    fired_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, default="", help_text="Why it did not fire or start.")
    started = models.OneToOneField(
        BeltRun, models.SET_NULL, null=True, blank=True, related_name="started_by_edge"
    )

    class Meta:
        ordering = ["product_name", "belt_name"]
        constraints = [
            models.UniqueConstraint(
                fields=["upstream", "product_name", "belt_name"], name="one_edge_per_pair"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.upstream} → {self.product_name}.{self.belt_name}"
