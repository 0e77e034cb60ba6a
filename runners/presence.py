"""Runners with their state as people see it, and fleets with who may use them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, CharField, F, Q, QuerySet, Value, When
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


def fleets_of_products(products: QuerySet[Product]) -> QuerySet[Any]:
    """Return the fleets by name that all products may use, or one of these products."""
    bound = Fleet.products.through.objects.filter(product__in=products.values("id"))
    usable = Q(all_products=True) | Q(id__in=bound.values("fleet_id"))
    return Fleet.objects.filter(usable).order_by("name")
