"""Runners in the database: one row a name, which belongs to one start of that runner at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from runners.errors import RunnerNameTakenError
from runners.models import Runner
from runners.protocol import PROTOCOL, VERSION


@dataclass(frozen=True, slots=True)
class RunnerDescription:
    """What one start of a runner says of itself."""

    name: str
    host: str
    boot_id: UUID
    queues: tuple[str, ...]
    slots: int
    isolation: str
    isolation_report: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database says to a heartbeat.

    ``ours`` is False when another start has taken the name over; ``drain`` is True when a
    person asked the runner to drain.
    """

    ours: bool
    drain: bool = False


def register_runner(description: RunnerDescription, *, dead_boots: Collection[UUID] = ()) -> UUID:
    """Make the row of that name this start's; return the runner's id.

    ``dead_boots`` are former starts that are known to be dead: the fresh heartbeat of one does not
    stand in the way. Raises RunnerNameTakenError while another start of that name is alive.
    """
    facts = _facts(description)
    silent = Q(heartbeat_at__lt=Now() - timedelta(seconds=settings.CONVEYOR_TIMES["offline"]))
    free = silent | Q(said=Runner.State.OFFLINE) | Q(boot_id=description.boot_id)
    if dead_boots:
        free |= Q(boot_id__in=dead_boots)
    if not Runner.objects.filter(free, name=description.name).update(**facts):
        _insert_runner(description.name, facts)
    return Runner.objects.values_list("id", flat=True).get(
        name=description.name, boot_id=description.boot_id
    )


def _facts(description: RunnerDescription) -> dict[str, Any]:
    return {
        "host": description.host,
        "boot_id": description.boot_id,
        "version": VERSION,
        "protocol": PROTOCOL,
        "queues": list(description.queues),
        "slots": description.slots,
        "isolation": description.isolation,
        "isolation_report": list(description.isolation_report),
        "said": Runner.State.ONLINE,
        "drain_requested_at": None,
        "trouble": "",
        "started_at": Now(),
        "heartbeat_at": Now(),
    }


def _insert_runner(name: str, facts: dict[str, Any]) -> None:
    try:
        with transaction.atomic():
            Runner.objects.create(name=name, **facts)
    except IntegrityError as error:
        other = Runner.objects.filter(name=name).first()
        if other is None:
            raise
        raise RunnerNameTakenError(
            name=name, host=other.host, boot_id=other.boot_id, heard_at=other.heartbeat_at
        ) from error


def beat(runner_id: UUID, boot_id: UUID, *, draining: bool, trouble: str = "") -> Answer:
    """Store a heartbeat of this start of the runner; return what the database has to say.

    ``trouble`` is why it claims no job at present, as a sentence, or "".
    """
    said = Runner.State.DRAINING if draining else Runner.State.ONLINE
    mine = Runner.objects.filter(id=runner_id, boot_id=boot_id)
    if not mine.update(heartbeat_at=Now(), said=said, trouble=trouble):
        return Answer(ours=False)
    return Answer(ours=True, drain=mine.filter(drain_requested_at__isnull=False).exists())


def retire_runner(runner_id: UUID, boot_id: UUID) -> None:
    """Say that this start of the runner has ended."""
    Runner.objects.filter(id=runner_id, boot_id=boot_id).update(
        said=Runner.State.OFFLINE, heartbeat_at=Now()
    )


def request_drain(runner: Runner) -> None:
    """Ask a runner to claim nothing more and to leave when its jobs have ended."""
    Runner.objects.filter(id=runner.id, drain_requested_at__isnull=True).update(
        drain_requested_at=Now()
    )
