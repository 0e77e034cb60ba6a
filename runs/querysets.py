"""Named reads of the runs app."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models.functions import Now

from products.models import Product
from runs.states import BELT_FINISHED, BeltRunState, JobRunState


class BeltRunQuerySet(models.QuerySet[Any]):
    """Reads of belt runs."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> BeltRunQuerySet:
        """Return the belt runs of the products that ``user`` may look at."""
        if getattr(user, "is_staff", False):
            return self
        return self.filter(belt__product__in=Product.objects.visible_to(user))

    def unfinished(self) -> BeltRunQuerySet:
        """Return the belt runs whose state is not final."""
        return self.exclude(state__in=BELT_FINISHED)

    def with_names(self) -> BeltRunQuerySet:
        """Return the same with belt and product read along."""
        return self.select_related("belt__product")

    def suppliers_of_latest(self) -> BeltRunQuerySet:
        """Return runs that may supply others unasked: default branch, nothing from forks."""
        return self.filter(on_default_branch=True, tainted=False)

    def newest_first(self) -> BeltRunQuerySet:
        """Return the same by number, newest first; the newest round of a number before others."""
        return self.order_by("-number", "-round")

    def succeeded(self) -> BeltRunQuerySet:
        """Return the belt runs that succeeded."""
        return self.filter(state=BeltRunState.SUCCEEDED)


class JobRunQuerySet(models.QuerySet[Any]):
    """Reads of job runs."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> JobRunQuerySet:
        """Return the job runs of the products that ``user`` may look at."""
        if getattr(user, "is_staff", False):
            return self
        return self.filter(belt_run__belt__product__in=Product.objects.visible_to(user))

    def claimable(self, queues: list[str], protocol: int) -> JobRunQuerySet:
        """Return what a runner of these queues and this protocol may claim, oldest first."""
        return self.filter(
            state=JobRunState.QUEUED,
            queue__in=queues,
            available_at__lte=Now(),
            cancel_requested_at__isnull=True,
            protocol__lte=protocol,
        ).order_by("available_at", "id")
