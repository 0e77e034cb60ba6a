"""Periodic duties. Every orchestrator tries each duty, and one of them performs it each time.

A guarded update on the clock of the database claims the row of a duty. So no leader is needed. If
an orchestrator dies during a duty, another one performs it after the claim has expired.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from belts.schedules import fire_due_schedules
from conveyor_site.deliver import (
    HINTS,
    QUICK,
    check_kinds,
    deliver_due,
    is_any_due,
    publish_due_hints,
)
from conveyor_site.task_results import remove_old_task_results
from products.errors import ConveyorError
from products.models import Duty, Source
from products.polling import poll_due_sources
from products.statements import Select, later
from runners.process.outage import DATABASE_AWAY
from runs import reaper
from runs.retention import remove_old_events, remove_old_runs

logger = logging.getLogger(__name__)

#: The duty that declares runners lost; see ``postpone``.
LEASES = "leases"

_ROWS = 200
_SOURCES = 20
_RUNS = 50
_ERROR_LENGTH = 2000
_WHO_LENGTH = 200


@dataclass(frozen=True, slots=True)
class PeriodicDuty:
    """Work that is due every ``every_s`` seconds, in portions.

    ``do`` returns the amount of work done. After a full ``portion`` the duty is due again at once,
    unless ``waits`` is set, because the same rows may be found again.

    While ``is_needed`` returns False, the duty is skipped for at most one sweep. That check is one
    statement; performing the duty is four statements and two commits.
    """

    name: str
    every_s: float
    do: Callable[[int], int]
    portion: int = _ROWS
    waits: bool = False
    is_needed: Callable[[], bool] | None = None


def lanes(times: Mapping[str, float]) -> dict[str, list[PeriodicDuty]]:
    """Return the duties by lane; ``times`` as CONVEYOR_TIMES.

    The duties of a lane are performed one after the other. Duties of the engine need only the
    database and wait for no repository. Deliveries are not duties: each row is claimed separately.
    """
    sweep_s, lease_s = times["sweep"], times["lease"]
    return {
        "engine": [
            PeriodicDuty(
                "hints", sweep_s / 5, publish_due_hints, is_needed=lambda: is_any_due(HINTS)
            ),
            PeriodicDuty(
                "releases",
                sweep_s / 5,
                lambda limit: deliver_due(QUICK, limit),
                is_needed=lambda: is_any_due(QUICK),
            ),
            PeriodicDuty(LEASES, sweep_s, reaper.lose_expired_attempts),
            PeriodicDuty("overdue-attempts", sweep_s, reaper.end_overdue_attempts),
            PeriodicDuty("cancels", sweep_s, reaper.force_cancels),
            PeriodicDuty("schedules", sweep_s, fire_due_schedules),
            PeriodicDuty("stragglers", 5 * sweep_s, reaper.settle_stragglers, waits=True),
            PeriodicDuty("hints-again", sweep_s, reaper.write_hints_again, waits=True),
            PeriodicDuty("outbox-kinds", lease_s, check_kinds),
            PeriodicDuty("queue-limit", lease_s, reaper.end_unserved_job_runs),
            PeriodicDuty("old-runs", 10 * lease_s, remove_old_runs, _RUNS),
            PeriodicDuty("old-events", 10 * lease_s, remove_old_events),
            PeriodicDuty("old-task-results", 10 * lease_s, remove_old_task_results),
        ],
        "sources": [
            PeriodicDuty(
                "sources", sweep_s / 5, poll_due_sources, _SOURCES, is_needed=_is_a_source_due
            ),
        ],
    }


def ensure_duties(duties: Iterable[PeriodicDuty]) -> None:
    """Insert the missing rows of duties."""
    Duty.objects.bulk_create([Duty(name=duty.name) for duty in duties], ignore_conflicts=True)


def do_due_duties(duties: list[PeriodicDuty]) -> int:
    """Perform all due, unclaimed duties; return their number.

    Raises only when the database is unreachable.
    """
    by_name = {duty.name: duty for duty in duties}
    due = _due_of(frozenset(by_name)).rows()
    return sum(
        do_duty(by_name[name]) for name, is_late in due if is_late or _is_needed(by_name[name])
    )


def _is_needed(duty: PeriodicDuty) -> bool:
    return duty.is_needed is None or duty.is_needed()


@cache
def _due_of(names: frozenset[str]) -> Select:
    """Return the query for due duties: name, and whether it is overdue by nearly one sweep."""

    def build() -> QuerySet[Any, Any]:
        late = Q(due_at__lte=later(-0.8 * settings.CONVEYOR_TIMES["sweep"]))
        rows = Duty.objects.due().filter(name__in=sorted(names)).order_by("due_at")
        found: QuerySet[Any, Any] = rows.values_list(
            "name", ExpressionWrapper(late, BooleanField())
        )
        return found

    return Select(build)


_SOURCE_DUE = Select(
    lambda: (
        Source.objects.due()
        .filter(poll=True, product__archived_at__isnull=True)
        .order_by()
        .values_list("pk")[:1]
    )
)


def _is_a_source_due() -> bool:
    return bool(_SOURCE_DUE.rows())


def do_duty(duty: PeriodicDuty) -> bool:
    """Perform a duty if it is due and unclaimed; return whether this call performed it.

    An error is stored on its row until the duty succeeds. Raises only when the database is
    unreachable.
    """
    until = Now() + timedelta(seconds=settings.CONVEYOR_TIMES["claim_work"])
    if not Duty.objects.due().filter(name=duty.name).update(claimed_until=until, done_by=_who()):
        return False
    try:
        done = duty.do(duty.portion)
    except Exception as error:
        # A duty may raise anything. It must not prevent the other duties.
        if isinstance(error, DATABASE_AWAY):
            connection.close()
        _finish(duty, error=_sentence(duty, error))
    else:
        has_more = done >= duty.portion and not duty.waits
        _finish(duty, wait_s=0 if has_more else duty.every_s)
    return True


def postpone(name: str, seconds: float) -> None:
    """Delay a duty by at least ``seconds`` for all orchestrators; keep a longer delay."""
    later = Now() + timedelta(seconds=seconds)
    Duty.objects.filter(name=name).update(due_at=Greatest(F("due_at"), later))


def _finish(duty: PeriodicDuty, *, wait_s: float | None = None, error: str = "") -> None:
    wait = timedelta(seconds=duty.every_s if wait_s is None else wait_s)
    facts: dict[str, Any] = {"claimed_until": None, "error": error}
    if not error:
        facts["done_at"] = Now()
    # A delay that was set meanwhile stays.
    due_at = Greatest(F("due_at"), Now() + wait)
    Duty.objects.filter(name=duty.name, done_by=_who()).update(due_at=due_at, **facts)


def _sentence(duty: PeriodicDuty, error: Exception) -> str:
    if isinstance(error, ConveyorError):
        logger.warning("The duty %s failed and is tried again: %s", duty.name, error)
        return str(error)[:_ERROR_LENGTH]
    logger.error("The duty %s failed unexpectedly and is tried again.", duty.name, exc_info=error)
    return f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]


def _who() -> str:
    return f"{socket.gethostname()} {os.getpid()}"[:_WHO_LENGTH]
