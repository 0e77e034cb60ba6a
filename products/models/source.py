"""Sources: the git repository of a product, and what was last seen there."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from products.identifiers import uuid7
from products.models.credential import Credential
from products.models.product import Product
from products.querysets import DueQuerySet


class Source(models.Model):
    """The one git repository that a product is made from.

    ``url`` is kept as it was written; comparing and fetching go through ``products.git.urls``.
    ``due_at`` and ``claimed_until`` make the polling of it a duty that one orchestrator claims.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.OneToOneField(Product, models.CASCADE, related_name="source")
    url = models.CharField(
        max_length=1000,
        help_text="Address of the git repository, such as https://github.com/acme/web.git. A "
        "git:// address is fetched over https.",
    )
    path = models.CharField(
        max_length=500,
        default=".conveyor.yml",
        help_text="Path of the belt file in the repository.",
    )
    credential = models.ForeignKey(
        Credential, models.SET_NULL, null=True, blank=True, related_name="sources"
    )
    poll = models.BooleanField(
        default=True, help_text="Check the repository for new commits regularly."
    )
    poll_interval_s = models.PositiveIntegerField(
        "poll interval (seconds)",
        null=True,
        blank=True,
        help_text="Empty means the site's default.",
    )
    default_branch = models.CharField(max_length=255, blank=True, default="")
    head_commit = models.CharField(max_length=64, blank=True, default="")
    first_seen_at = models.DateTimeField(
        null=True, blank=True, help_text="Commits after this time start belts."
    )
    due_at = models.DateTimeField(db_default=Now(), db_index=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(
        blank=True, default="", help_text="Why the last check of the repository failed."
    )
    warning = models.TextField(
        blank=True, default="", db_default="", help_text="What the last poll passed over, and why."
    )

    objects = DueQuerySet.as_manager()

    class Meta:
        ordering = ["product__name"]

    def __str__(self) -> str:
        return f"{self.product}: {self.url}"


class SeenRef(models.Model):
    """The commit at which a branch or tag was last seen; the first sight makes no event."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, models.CASCADE, related_name="seen_refs")
    ref = models.CharField(max_length=500, help_text="Full name, as in refs/heads/main.")
    commit = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "ref"], name="one_row_per_seen_ref"),
        ]

    def __str__(self) -> str:
        return f"{self.ref} at {self.commit[:12]}"
