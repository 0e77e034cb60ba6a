"""Schedules: one event for each due time, however late and by however many."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from belts.models import Trigger
from belts.schedules import fire_due_schedules
from products.models import Event, OutboxRow
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def a_schedule(*, due: timedelta = timedelta(seconds=-5), **fields: Any) -> Trigger:
    product = builders.a_product()
    given = {
        "kind": "schedule",
        "details": {"cron": "*/10 * * * *"},
        "due_at": timezone.now() + due,
        **fields,
    }
    return builders.a_trigger(product, ["build"], **given)


def due_of(trigger: Trigger) -> datetime:
    trigger.refresh_from_db()
    assert trigger.due_at is not None
    return trigger.due_at


def test_a_due_schedule_makes_an_event_and_its_consequence() -> None:
    trigger = a_schedule()
    assert fire_due_schedules() == 1

    event = Event.objects.get()
    assert (event.product, event.kinds, event.origin) == (trigger.product, ["schedule"], "schedule")
    assert event.details == {"trigger": str(trigger.pk), "belts": ["build"]}
    row = OutboxRow.objects.get()
    assert (row.kind, row.payload) == ("event", {"event": str(event.pk)})
    assert timezone.now() < due_of(trigger) <= timezone.now() + timedelta(minutes=10)
    assert due_of(trigger).minute % 10 == 0


def test_it_fires_once_and_again_at_its_next_time() -> None:
    trigger = a_schedule()
    fire_due_schedules()
    assert fire_due_schedules() == 0
    Trigger.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert fire_due_schedules() == 1
    assert Event.objects.filter(product=trigger.product).count() == 2


def test_one_that_was_missed_for_days_fires_once() -> None:
    trigger = a_schedule(due=timedelta(days=-3))
    assert fire_due_schedules() == 1
    assert fire_due_schedules() == 0
    assert due_of(trigger) > timezone.now()


def test_what_is_not_due_or_never_fires_is_left_alone() -> None:
    a_schedule(due=timedelta(minutes=5))
    a_schedule(broken="There is no belt build.")
    archived = a_schedule()
    archived.product.archived_at = timezone.now()
    archived.product.save()
    assert fire_due_schedules() == 0
    assert not Event.objects.exists()


def test_a_due_time_that_somebody_else_claimed_makes_no_second_event() -> None:
    trigger = a_schedule()
    due = due_of(trigger)
    assert fire_due_schedules() == 1
    Trigger.objects.update(due_at=due)  # as if the claim had been read before it was made
    assert fire_due_schedules() == 0
    assert Event.objects.count() == 1
    assert due_of(trigger) > timezone.now()


def test_no_more_than_the_limit_fires_and_the_oldest_come_first() -> None:
    late = a_schedule(due=timedelta(hours=-2))
    a_schedule()
    assert fire_due_schedules(limit=1) == 1
    assert Event.objects.get().product == late.product
