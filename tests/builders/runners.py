"""Fleets and runners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone

from runners.models import Fleet, Runner
from runners.protocol import PROTOCOL
from tests.builders.names import named


def a_fleet(queue: str | None = None, **fields: Any) -> Fleet:
    """Return a fleet with a queue of its own, which all products may use."""
    name = named(queue, "fleet")
    return Fleet.objects.create(**{"name": name, "queue": name, "all_products": True, **fields})


def a_runner(
    name: str | None = None,
    *,
    queues: Sequence[str] = ("default",),
    heartbeat_at: datetime | None = None,
    **fields: Any,
) -> Runner:
    """Return a runner that has just been heard of."""
    now = timezone.now()
    given: dict[str, Any] = {
        "host": "runner.example",
        "boot_id": uuid4(),
        "version": "0.1.0",
        "protocol": PROTOCOL,
        "slots": 2,
        "isolation": "uid",
        "isolation_report": ["each job has a uid of its own"],
        "started_at": now,
        "heartbeat_at": heartbeat_at or now,
    }
    return Runner.objects.create(
        name=named(name, "runner"), queues=list(queues), **{**given, **fields}
    )
