"""Definitions: frozen, validated belt files or admin configurations, addressed by digest."""

from __future__ import annotations

from typing import Any

from django.db import models

from products.identifiers import uuid7
from products.models import Product


class Definition(models.Model):
    """A belt file (or what the admin holds), validated and frozen; never changed afterwards.

    ``document`` is the canonical form of ``belts.spec.shapes.BeltFile``; equal documents have
    equal digests, so a file and an admin configuration that say the same are one definition.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, models.CASCADE, related_name="definitions")
    digest = models.CharField(max_length=64)
    document: models.JSONField[Any, Any] = models.JSONField()
    current_of = models.OneToOneField(
        Product,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="current_definition",
        help_text="The product whose present definition this is.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["product", "digest"], name="definition_by_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.product} {self.digest[:12]}"


class CommitFile(models.Model):
    """What the belt file was at one commit: its definition, or the problems that it has."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, models.CASCADE, related_name="commit_files")
    commit = models.CharField(max_length=64, blank=True, help_text="Empty for a bare file.")
    path = models.CharField(
        max_length=500,
        default=".conveyor.yml",
        db_default=".conveyor.yml",
        help_text="Where the file was read in the repository.",
    )
    definition = models.ForeignKey(
        Definition, models.CASCADE, null=True, blank=True, related_name="commit_files"
    )
    text = models.TextField(blank=True, default="")
    problems: models.JSONField[Any, Any] = models.JSONField(default=list)
    on_default_branch = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["product", "commit"], name="one_file_per_commit"),
        ]

    def __str__(self) -> str:
        return f"{self.product} at {self.commit[:12] or 'no commit'}"
