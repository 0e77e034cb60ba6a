"""Belts and jobs as they are now: what the admin edits and the pages list.

Runs never read these rows; they read their frozen definition.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse

from belts.querysets import BeltQuerySet
from products.identifiers import uuid7
from products.models import Product
from products.names import NAME_MAX, validate_name, validate_queue


class Belt(models.Model):
    """A chain of jobs of a product; archived when its definition no longer has it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, models.CASCADE, related_name="belts")
    name = models.CharField(max_length=NAME_MAX, validators=[validate_name])
    position = models.PositiveIntegerField(default=0)
    description = models.TextField(blank=True, default="")
    env: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    downstreams: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    last_number = models.PositiveIntegerField(
        default=0, editable=False, help_text="The number of its newest run."
    )

    objects = BeltQuerySet.as_manager()

    class Meta:
        ordering = ["product__name", "position", "name"]
        constraints = [
            models.UniqueConstraint(fields=["product", "name"], name="belt_name_in_product"),
        ]

    def __str__(self) -> str:
        return f"{self.product}.{self.name}"

    def get_absolute_url(self) -> str:
        """Return the path of the belt's page."""
        return reverse("belt", args=[self.product.name, self.name])


class Job(models.Model):
    """What a belt does, as its file or the admin says; one execution of it is a job run.

    The JSON fields hold the shapes of the belt file's keys of the same name.
    """

    class Shell(models.TextChoices):
        """The languages of a script."""

        BASH = "bash"
        SH = "sh"
        PYTHON = "python"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    belt = models.ForeignKey(Belt, models.CASCADE, related_name="jobs")
    name = models.CharField(max_length=NAME_MAX, validators=[validate_name])
    position = models.PositiveIntegerField(default=0)
    inputs: models.JSONField[Any, Any] = models.JSONField(
        default=list, blank=True, help_text='Such as ["source", "other-product.belt"].'
    )
    queue = models.CharField(
        max_length=63,
        blank=True,
        default="",
        validators=[validate_queue],
        help_text="Empty means the site's default queue.",
    )
    env: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    credentials: models.JSONField[Any, Any] = models.JSONField(
        default=list, blank=True, help_text="Names of credentials of this product."
    )
    shell = models.CharField(max_length=10, choices=Shell.choices, default=Shell.BASH)
    working_directory = models.CharField(max_length=500, blank=True, default="")
    pre_run = models.TextField(blank=True, default="")
    commands = models.TextField(blank=True, default="")
    post_run = models.TextField(blank=True, default="")
    outputs: models.JSONField[Any, Any] = models.JSONField(
        default=list, blank=True, help_text='Such as [{"String": "VERSION=$VERSION"}].'
    )
    downstreams: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    timeout = models.CharField(
        max_length=20, blank=True, default="", help_text="Such as 10m; empty: the default."
    )
    post_run_timeout = models.CharField(max_length=20, blank=True, default="")
    retry: models.JSONField[Any, Any] = models.JSONField(
        default=None, null=True, blank=True, help_text="A number, or the long form."
    )

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.UniqueConstraint(fields=["belt", "name"], name="job_name_in_belt"),
        ]

    def __str__(self) -> str:
        return f"{self.belt}.{self.name}"
