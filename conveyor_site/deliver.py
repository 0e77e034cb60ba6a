"""Delivery of outbox rows: the handler of each kind, claims and repetition.

A guarded update claims a row, so any number of processes may try. The claim is renewed while the
handler works, and the row is deleted when the handler returns. A handler may be called again for
the same row, because a process may die in between.

Of the rows that may wait for the repository of one product, one is delivered at a time. A
repository that is slow or cannot be read delays the other rows of its product. So it uses at most
one of the delivery threads, and not all the time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Exists, F, Model, OuterRef, QuerySet, Sum
from django.db.models.functions import Greatest, Now

from belts.importing import import_commit
from conveyor_site.claim_renewal import renewed
from conveyor_site.receivers import hint_of
from products.errors import ConveyorError, PlatformError
from products.git.errors import SourceUnreachableError
from products.models import Event, OutboxRow, Product
from products.querysets import DueQuerySet
from products.statements import Select
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
#: After this number of tries the wait stays the same.
_DOUBLINGS = 10
#: A row that took more seconds delays the other rows of its product for the same time.
SLOW_S = 15.0
#: Maximum number of due rows that are searched for rows of different products.
_SEEN = 1000
#: Number of renewals in the time of one claim.
_RENEWALS = 4


@dataclass(frozen=True, slots=True)
class Handler:
    """The function that delivers a kind of row, and the model and payload key of its subject.

    If the subject was removed, the row has no effect.
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
HINTS = frozenset({Kind.HINT})
SLOW = frozenset(HANDLERS) - QUICK
#: All kinds that this version delivers. Rows of other kinds wait for a process that has a handler.
HANDLED = frozenset(HANDLERS) | HINTS


class UnhandledKindError(PlatformError):
    """Rows of the outbox have waited for long because no handler of this version delivers them."""

    code = "outbox.unhandled-kind"

    def __init__(self, counts: Mapping[str, int]) -> None:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.items())
        super().__init__(
            f"The outbox has rows of kinds that this version of Conveyor does not deliver: {kinds}."
            " They are kept. Start an orchestrator of the version that wrote them. Rows that are "
            "not needed can be deleted from the database."
        )


def deliver(row_id: UUID) -> bool:
    """Deliver a row if it is due and unclaimed; return whether it was delivered.

    The row waits while another row of its product is delivered, and if its kind has no handler in
    this version. A failure is stored on the row, which is due again later. Raises only when the
    database is unreachable.
    """
    row = _claimed(row_id)
    if row is None:
        return False
    begun = time.monotonic()
    try:
        with renewed(lambda: _renew(row.id), _claim_s() / _RENEWALS):
            _handle(row)
    except Exception as error:
        # A handler may raise anything. It must not delay other rows.
        if isinstance(error, DATABASE_AWAY):
            connection.close()
        _put_off(row, error)
        return False
    took_s = time.monotonic() - begun
    if took_s > SLOW_S:
        _delay_others(row, took_s)
    OutboxRow.objects.filter(id=row.id).delete()
    return True


def deliver_due(kinds: Collection[str], limit: int) -> int:
    """Deliver due rows of those kinds, oldest first; return the number of delivered rows.

    Of the rows that may wait for the repository of one product, only one is delivered.
    """
    return sum(deliver(row_id) for row_id in deliverable(kinds, limit))


def deliverable(kinds: Collection[str], limit: int) -> list[UUID]:
    """Return rows of those kinds that may be delivered, one of each product.

    Rows with the fewest failures come first, and among those the row that is due the longest.
    """
    chosen: dict[object, UUID] = {}
    for row_id, product_name in _rows_of(frozenset(kinds)).rows():
        chosen.setdefault(product_name or row_id, row_id)
    return list(chosen.values())[:limit]


def is_any_due(kinds: Collection[str]) -> bool:
    """Return whether a row of those kinds is due, in one cheap statement."""
    return bool(_any_of(frozenset(kinds)).rows())


def check_kinds(limit: int) -> int:
    """Return 0 if every row that has been due for long has a handler.

    Raises UnhandledKindError, which names at most ``limit`` kinds with the number of their rows.
    """
    long_due = Now() - timedelta(seconds=settings.CONVEYOR_TIMES["lease"])
    rows = OutboxRow.objects.filter(due_at__lt=long_due).exclude(kind__in=sorted(HANDLED))
    counts = dict(rows.order_by("kind").values_list("kind").annotate(Count("id"))[:limit])
    if counts:
        raise UnhandledKindError(counts)
    return 0


@cache
def _rows_of(kinds: frozenset[str]) -> Select:
    def build() -> QuerySet[Any, Any]:
        # The rows with the fewest failures first: one that always fails starves no other.
        rows = _deliverable().filter(kind__in=sorted(kinds)).order_by("tries", "due_at", "id")
        found: QuerySet[Any, Any] = rows.values_list("id", "product_name")[:_SEEN]
        return found

    return Select(build)


@cache
def _any_of(kinds: frozenset[str]) -> Select:
    def build() -> QuerySet[Any, Any]:
        rows = OutboxRow.objects.due().filter(kind__in=sorted(kinds)).order_by()
        found: QuerySet[Any, Any] = rows.values_list("kind")[:1]
        return found

    return Select(build)


def _deliverable() -> DueQuerySet:
    """Return the due rows of products that have no row in delivery."""
    at_work = OutboxRow.objects.filter(
        active_key=OuterRef("product_name"), claimed_until__gte=Now()
    )
    return OutboxRow.objects.due().filter(~Exists(at_work))


def publish_due_hints(limit: int) -> int:
    """Publish hints that were not published at their commit; return the number of deleted rows.

    Hints need no claim, because a duplicate does no harm. A hint for a job run that is no longer
    queued is deleted. If the queue does not accept a hint, the next try is later each time, and
    runners poll meanwhile.
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
        _wait(same, tries, "The queue did not accept the message.")
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
        logger.warning("The outbox row %s has no job run and is deleted.", row)
        return None


def _claimed(row_id: UUID) -> OutboxRow | None:
    # Rows of a kind that only a newer version delivers are left for that version.
    row: OutboxRow | None = _deliverable().filter(id=row_id, kind__in=list(HANDLERS)).first()
    if row is None:
        return None
    try:
        return row if _claim(row) else None
    except IntegrityError:
        # Another process delivers a row of the product now, or died while it did.
        dead = OutboxRow.objects.filter(claimed_until__lt=Now(), active_key=row.product_name)
        dead.update(active_key=None)
        return None


def _claim(row: OutboxRow) -> bool:
    """Claim the row; raises IntegrityError while another row of its product has the key."""
    until = Now() + timedelta(seconds=_claim_s())
    with transaction.atomic():
        mine = OutboxRow.objects.due().filter(id=row.id)
        return mine.update(claimed_until=until, active_key=row.product_name or None) == 1


def _claim_s() -> float:
    return float(settings.CONVEYOR_TIMES["claim_row"])


def _renew(row_id: UUID) -> None:
    """Extend the claim, unless it has expired: then another process may have the row."""
    until = Now() + timedelta(seconds=_claim_s())
    OutboxRow.objects.filter(id=row_id, claimed_until__gte=Now()).update(claimed_until=until)


def _handle(row: OutboxRow) -> None:
    handler = HANDLERS[row.kind]
    subject_id = UUID(row.payload[handler.key])
    if handler.subject._default_manager.filter(pk=subject_id).exists():
        handler.do(subject_id, row.payload)


def _put_off(row: OutboxRow, error: Exception) -> None:
    if isinstance(error, ConveyorError):
        logger.warning("The outbox row %s failed and is tried again: %s", row, error)
        sentence = str(error)
    else:
        logger.error(
            "The outbox row %s failed unexpectedly and is tried again.", row, exc_info=error
        )
        sentence = f"{type(error).__name__}: {error}"
    if not (row.product_name and isinstance(error, SourceUnreachableError)):
        _wait([row.id], row.tries, sentence)
        return
    # All rows of the product wait for the same repository, so the failures of all rows count.
    rows = OutboxRow.objects.filter(product_name=row.product_name)
    tries = rows.aggregate(sum=Sum("tries"))["sum"] or 0
    _wait([row.id], tries, sentence)
    _delay_others(row, _wait_s(tries))


def _delay_others(row: OutboxRow, wait_s: float) -> None:
    """Delay the other rows of the product, which wait for the same repository."""
    if not row.product_name:
        return
    OutboxRow.objects.filter(product_name=row.product_name).exclude(id=row.id).update(
        due_at=Greatest(F("due_at"), Now() + timedelta(seconds=wait_s))
    )


def _wait_s(tries: int) -> float:
    return float(min(WAIT_S[1], WAIT_S[0] * 2.0 ** min(tries, _DOUBLINGS)))


def _wait(row_ids: Collection[UUID], tries: int, error: str) -> None:
    """Make failed rows due again, later with each failure."""
    OutboxRow.objects.filter(id__in=row_ids).update(
        tries=F("tries") + 1,
        error=error[:_ERROR_LENGTH],
        due_at=Now() + timedelta(seconds=_wait_s(tries)),
        claimed_until=None,
        active_key=None,
    )
