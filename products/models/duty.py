"""Duties: periodic work that exactly one of the orchestrators does when it is due."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from products.querysets import DueQuerySet


class Duty(models.Model):
    """One periodic duty, such as looking for lost runners; claimed by a guarded update."""

    name = models.CharField(max_length=60, primary_key=True)
    due_at = models.DateTimeField(db_default=Now())
    claimed_until = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.CharField(max_length=200, blank=True, default="")
    error = models.TextField(blank=True, default="")

    objects = DueQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "duties"

    def __str__(self) -> str:
        return self.name
