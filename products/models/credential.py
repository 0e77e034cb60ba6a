"""Credentials: encrypted at rest, write-only, bound to products."""

from __future__ import annotations

from django.db import models

from products.identifiers import uuid7
from products.models.product import Product
from products.names import NAME_MAX, validate_name


class Credential(models.Model):
    """A value that jobs or sources may use without anybody being able to read it here.

    ``sealed`` is written by ``products.credentials`` alone; the key that opens it is outside the
    database.
    """

    class Kind(models.TextChoices):
        """What the value is, and so how a job receives it."""

        VARIABLE = "variable", "environment variable"
        FILE = "file", "file whose path is in a variable"
        SSH_KEY = "ssh-key", "SSH private key"
        GIT = "git", "git username and password"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=NAME_MAX, unique=True, validators=[validate_name])
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.VARIABLE)
    variable = models.CharField(
        max_length=100,
        blank=True,
        default="",
        help_text="Name of the variable that a job reads. Empty means the credential's name in "
        "upper case.",
    )
    username = models.CharField(max_length=200, blank=True, default="")
    products = models.ManyToManyField(
        Product,
        blank=True,
        related_name="credentials",
        help_text="Only jobs and sources of these products can use it. Without products nothing "
        "can use it.",
    )
    sealed = models.TextField(blank=True, default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
