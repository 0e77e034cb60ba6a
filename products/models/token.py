"""API tokens: hashed, scoped, with an end."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from products.identifiers import uuid7
from products.models.product import Product


class ApiToken(models.Model):
    """A program's way in: only the SHA-256 of the token is kept, the token is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="conveyor_tokens"
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text='"read", "run" or both.'
    )
    all_products = models.BooleanField(
        default=False,
        db_default=False,
        help_text="The token reaches every product that its user may see. Clear this to choose "
        "products below.",
    )
    products = models.ManyToManyField(
        Product, blank=True, help_text="The token reaches only these products."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
