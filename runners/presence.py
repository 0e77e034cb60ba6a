"""Runners with their state as people see it, and fleets with who may use them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Exists,
    F,
    OuterRef,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Now

from products.models import Product
from runners.models import Fleet, Runner


def runners_with_state() -> QuerySet[Any]:
    """Return all runners by name, each with ``state``: silence means offline."""
    heard = Now() - timedelta(seconds=settings.CONVEYOR_TIMES["offline"])
    state = Case(
        When(heartbeat_at__lt=heard, then=Value(Runner.State.OFFLINE)),
        When(said=Runner.State.OFFLINE, then=Value(Runner.State.OFFLINE)),
        When(drain_requested_at__isnull=False, then=Value(Runner.State.DRAINING)),
        default=F("said"),
        output_field=CharField(),
    )
    return Runner.objects.annotate(state=state).order_by("name")


def fleets_with_openness() -> QuerySet[Any]:
    """Return all fleets by name, each with ``is_open``: whether every product may use it."""
    bound = Fleet.products.through.objects.filter(fleet=OuterRef("pk"))
    is_open = Case(When(Exists(bound), then=False), default=True, output_field=BooleanField())
    return Fleet.objects.annotate(is_open=is_open).order_by("name")


def fleets_of_products(products: QuerySet[Product]) -> QuerySet[Any]:
    """Return the fleets that are open, or bound to one of the products."""
    bound = Fleet.products.through.objects.filter(product__in=products.values("id"))
    fleets = fleets_with_openness()
    return fleets.filter(is_open=True) | fleets.filter(id__in=bound.values("fleet_id"))
