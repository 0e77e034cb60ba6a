"""Products and who may do what with them."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from products.identifiers import uuid7
from products.names import NAME_MAX, RESERVED_NAMES, validate_name
from products.querysets import ProductQuerySet


class Product(models.Model):
    """Something that is made and moved: a gem, an image, an environment.

    Its definition comes either from a ``.conveyor.yml`` or from the admin, never from both.
    """

    class Manager(models.TextChoices):
        """Who owns the product's definition."""

        FILE = "file", "its .conveyor.yml"
        ADMIN = "admin", "the admin"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(
        max_length=NAME_MAX,
        unique=True,
        validators=[validate_name],
        help_text="Belt files of other products refer to this name.",
    )
    description = models.TextField(
        blank=True, default="", help_text="Shown in the list of products."
    )
    managed_by = models.CharField(
        max_length=10,
        choices=Manager.choices,
        default=Manager.ADMIN,
        help_text="The file changes a product that it manages. Detach the product to edit it here.",
    )
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the path of the product's page."""
        return reverse("product", args=[self.name])

    def clean(self) -> None:
        """Raise ValidationError for a name that means something else in belt files."""
        if self.name in RESERVED_NAMES:
            sentence = f"{self.name} means the product's own repository. Take another name."
            raise ValidationError({"name": sentence})

    @property
    def is_file_managed(self) -> bool:
        """Whether belts, jobs and triggers are read-only here."""
        return self.managed_by == self.Manager.FILE


class Membership(models.Model):
    """A user's role in one product; staff see and do everything."""

    class Role(models.TextChoices):
        """Each role may do what the one before it may."""

        VIEWER = "viewer", "viewer: sees the product, its runs, logs and values"
        OPERATOR = "operator", "operator: also starts, cancels and reruns its belts"
        MAINTAINER = "maintainer", "maintainer: the same as an operator"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="conveyor_memberships"
    )
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "user"], name="one_role_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.product}: {self.role}"
