"""Delivering outbox rows: the one place that says what each kind makes happen.

A row is claimed by a guarded update, so any number of processes may try; it is deleted when its
verb has returned. Every verb may be called again: a process may die between the two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F, Model
from django.db.models.functions import Now

from belts.importing import import_commit
from conveyor_site.receivers import hint_of
from products.errors import ConveyorError
from products.models import Event, OutboxRow, Product
from runners.hints import Hint, publish_hints
from runners.process.outage import DATABASE_AWAY
from runs.downstream import start_downstream
from runs.models import BeltRun, Edge, JobRun
from runs.release import release_belt_run
from runs.states import JobRunState
from runs.triggers import start_for_event

logger = logging.getLogger(__name__)

Kind = OutboxRow.Kind

#: The first and the longest wait after a failure, in seconds.
WAIT_S = (1.0, 300.0)
_ERROR_LENGTH = 2000
#: More tries than this make the wait no longer.
_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Handler:
    """What a kind of row makes happen, and the row that it is about, by a key of the payload.

    Nothing happens when that row is gone: it was removed, with all that depended on it.
    """

    key: str
    subject: type[Model]
    do: Callable[[UUID, Mapping[str, Any]], object]


HANDLERS: dict[str, Handler] = {
    Kind.EVENT: Handler("event", Event, lambda pk, _: start_for_event(pk)),
    Kind.DOWNSTREAM: Handler("edge", Edge, lambda pk, _: start_downstream(pk)),
    Kind.RELEASE: Handler("belt_run", BeltRun, lambda pk, _: release_belt_run(pk)),
    Kind.IMPORT: Handler("product", Product, lambda pk, row: import_commit(pk, row["commit"])),
}
#: Kinds that need nothing but the database; the others may wait for a repository.
QUICK = frozenset({Kind.RELEASE})
SLOW = frozenset(HANDLERS) - QUICK


def deliver(row_id: UUID) -> bool:
    """Deliver a row, if it is due and nobody else is at it; return whether it is done.

    A failure is kept on the row, which is due again after a while. Raises only when the database
    is away.
    """
    row = _claimed(row_id)
    if row is None:
        return False
    try:
        _handle(row)
    except Exception as error:
        # A verb of any app; whatever it is must not keep other rows waiting.
        if isinstance(error, DATABASE_AWAY):
            connection.close()
        _put_off(row, error)
        return False
    OutboxRow.objects.filter(id=row.id).delete()
    return True


def deliver_due(kinds: Collection[str], limit: int) -> int:
    """Deliver rows of those kinds that are due, the longest due first; return how many are done."""
    due = OutboxRow.objects.due().filter(kind__in=sorted(kinds)).order_by("due_at", "id")
    return sum(deliver(row_id) for row_id in list(due.values_list("id", flat=True)[:limit]))


def publish_due_hints(limit: int) -> int:
    """Publish hints that no commit could; return how many rows are gone.

    Nobody claims them: a hint that is published twice does no harm. One whose job run is no longer
    queued is dropped. What the queue does not take waits, longer each time, while runners poll.
    """
    rows = list(OutboxRow.objects.due().filter(kind=Kind.HINT).order_by("due_at", "id")[:limit])
    needed = _needed(rows)
    taken = publish_hints([hint for _, hint in needed])
    refused = [row for row, _ in needed[taken:]]
    gone = {row.id for row in rows} - {row.id for row in refused}
    if gone:
        OutboxRow.objects.filter(id__in=gone).delete()
    for tries in {row.tries for row in refused}:
        same = [row.id for row in refused if row.tries == tries]
        _wait(same, tries, "The queue did not take it.")
    return len(gone)


def _needed(rows: Iterable[OutboxRow]) -> list[tuple[OutboxRow, Hint]]:
    """Return the rows with their hints whose job runs are still queued."""
    hints = [(row, hint) for row in rows if (hint := _hint_of(row)) is not None]
    queued = set(
        JobRun.objects.filter(
            id__in=[hint.job_run_id for _, hint in hints], state=JobRunState.QUEUED
        ).values_list("id", flat=True)
    )
    return [(row, hint) for row, hint in hints if hint.job_run_id in queued]


def _hint_of(row: OutboxRow) -> Hint | None:
    try:
        return hint_of(row.payload)
    except (KeyError, ValueError, TypeError, AttributeError):
        logger.warning("A hint without a job run is dropped: %s", row)
        return None


def _claimed(row_id: UUID) -> OutboxRow | None:
    until = Now() + timedelta(seconds=settings.CONVEYOR_TIMES["claim_work"])
    # A kind that only a newer version knows is left to it.
    mine = OutboxRow.objects.filter(id=row_id, kind__in=list(HANDLERS))
    if not mine.due().update(claimed_until=until):
        return None
    row: OutboxRow | None = mine.first()
    return row


def _handle(row: OutboxRow) -> None:
    handler = HANDLERS[row.kind]
    subject_id = UUID(row.payload[handler.key])
    if handler.subject._default_manager.filter(pk=subject_id).exists():
        handler.do(subject_id, row.payload)


def _put_off(row: OutboxRow, error: Exception) -> None:
    if isinstance(error, ConveyorError):
        logger.warning("%s is tried again: %s", row, error)
        _wait([row.id], row.tries, str(error))
        return
    logger.error("%s is tried again after an unexpected error.", row, exc_info=error)
    _wait([row.id], row.tries, f"{type(error).__name__}: {error}")


def _wait(row_ids: Collection[UUID], tries: int, error: str) -> None:
    """Make rows that have failed due again, after longer the more often they have."""
    wait_s = min(WAIT_S[1], WAIT_S[0] * 2.0 ** min(tries, _DOUBLINGS))
    OutboxRow.objects.filter(id__in=row_ids).update(
        tries=F("tries") + 1,
        error=error[:_ERROR_LENGTH],
        due_at=Now() + timedelta(seconds=wait_s),
        claimed_until=None,
    )
