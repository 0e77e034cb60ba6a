"""Named reads of the products app."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

OPERATING_ROLES = ("operator", "maintainer")


class ProductQuerySet(models.QuerySet[Any]):
    """Reads of products."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> ProductQuerySet:
        """Return the products that ``user`` may look at: all for staff, else by membership."""
        if getattr(user, "is_staff", False):
            return self
        if not user.is_authenticated:
            return self.none()
        return self.filter(memberships__user=user)

    def operable_by(self, user: AbstractBaseUser | AnonymousUser) -> ProductQuerySet:
        """Return the products whose belts ``user`` may start, cancel and rerun."""
        if getattr(user, "is_staff", False):
            return self
        if not user.is_authenticated:
            return self.none()
        return self.filter(memberships__user=user, memberships__role__in=OPERATING_ROLES)


class DueQuerySet(models.QuerySet[Any]):
    """Reads of rows that are claimed by a guarded update: duties, outbox rows, sources."""

    def due(self) -> DueQuerySet:
        """Return the rows that are due on the database's clock and not claimed by anybody."""
        return self.filter(due_at__lte=Now()).filter(
            Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())
        )
