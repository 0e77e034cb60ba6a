"""Named reads of the runners app."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from runners.models import Fleet, Runner
from runs.models import Attempt, JobRun
from runs.states import AttemptState


def living_runners() -> QuerySet[Runner]:
    """Return the runners that were heard of lately and have not left, by name."""
    heard = Now() - timedelta(seconds=settings.CONVEYOR_TIMES["offline"])
    return Runner.objects.exclude(said=Runner.State.OFFLINE).filter(heartbeat_at__gte=heard)


def served_queues() -> set[str]:
    """Return the queues from which some living runner still claims."""
    return set(claiming_slots())


def claiming_slots() -> Counter[str]:
    """Return by queue how many slots, busy ones too, some living runner still fills from it."""
    claiming = living_runners().filter(said=Runner.State.ONLINE, drain_requested_at__isnull=True)
    slots: Counter[str] = Counter()
    for queues, count in claiming.values_list("queues", "slots"):
        slots.update(dict.fromkeys(queues, count))
    return slots


def claimable_count(queues: Collection[str], protocol: int, *, limit: int) -> int:
    """Return how many job runs such a runner could claim now, counted up to ``limit``."""
    found = JobRun.objects.claimable(sorted(queues), protocol).values_list("id")[:limit]
    return len(found)


def unwanted_attempts(attempt_ids: Collection[UUID]) -> tuple[dict[UUID, str], set[UUID]]:
    """Return those of the attempts whose cancel is asked for, and those that are no longer alive.

    The former come with who asked. One statement by primary key: a runner with jobs asks every
    second.
    """
    rows = Attempt.objects.filter(
        id__in=attempt_ids, state__in=[AttemptState.STARTING, AttemptState.RUNNING]
    ).values_list("id", "job_run__cancel_requested_at", "job_run__cancel_requested_by")
    alive = {attempt_id: (at, by) for attempt_id, at, by in rows}
    cancelled = {attempt_id: by for attempt_id, (at, by) in alive.items() if at is not None}
    return cancelled, set(attempt_ids) - alive.keys()


def fleets_of(queues: Collection[str]) -> QuerySet[Fleet]:
    """Return the fleets of these queues, with their products read along."""
    return Fleet.objects.filter(queue__in=queues).prefetch_related("products")
