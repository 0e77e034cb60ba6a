"""Schedules: each due time makes one event, whoever looks first."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from belts.models import Trigger
from belts.timetable import next_time
from products.models import Event, OutboxRow
from products.outbox import Consequence, write_outbox


def fire_due_schedules(limit: int = 100) -> int:
    """Make the events of schedules whose time has come; return how many.

    The oldest come first, at most ``limit``. A schedule that was missed several times, because
    nothing ran, fires once.
    """
    due = Trigger.objects.due().filter(kind=Trigger.Kind.SCHEDULE, broken="")
    due = due.filter(product__archived_at=None).annotate(now=Now()).order_by("due_at")
    due = due.select_related("product")
    return sum(_fire(trigger) for trigger in due[:limit])


def _fire(trigger: Any) -> bool:
    """Claim this due time by moving it on; the event exists if and only if that was done."""
    details = trigger.details
    following = next_time(details.get("cron"), details.get("timezone"), after=trigger.now)
    with transaction.atomic():
        mine = Trigger.objects.filter(pk=trigger.pk, due_at=trigger.due_at)
        if not mine.update(due_at=following):
            return False
        event, is_new = Event.objects.get_or_create(
            product_id=trigger.product_id,
            key=f"schedule:{trigger.pk}@{trigger.due_at.astimezone(UTC).isoformat()}",
            defaults={
                "kinds": ["schedule"],
                "origin": Event.Origin.SCHEDULE,
                "details": {"trigger": str(trigger.pk), "belts": trigger.belts},
            },
        )
        if is_new:
            write_outbox([_start(event, trigger.product.name)])
    return is_new


def _start(event: Event, product_name: str) -> Consequence:
    key, payload = f"event:{event.pk}", {"event": str(event.pk)}
    return Consequence(OutboxRow.Kind.EVENT, key, payload, product_name=product_name)
