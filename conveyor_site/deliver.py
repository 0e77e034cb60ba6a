"""Delivering outbox rows: the one place that says what each kind makes happen.

A row is claimed by a guarded update, so any number of processes may try, and the claim is renewed
while its verb is at work; the row is deleted when that has returned. Every verb may be called
again: a process may die between the two.

Of the rows that may wait for a product's repository one is delivered at a time, and a repository
that is slow or cannot be read puts off the others of its product: it never has more than one of the
threads that deliver, and not that one all the time.
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
from conveyor_site.keeping import kept_up
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
#: More tries than this make the wait no longer.
_DOUBLINGS = 10
#: What took more seconds lets others go first for as long as it took.
SLOW_S = 15.0
#: So many due rows are looked through for those of different products.
_SEEN = 1000
#: So often is a claim renewed before it would run out.
_RENEWALS = 4


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
            " They are kept. Start an orchestrator of the version that wrote them, or delete them "
            "from the database."
        )


def deliver(row_id: UUID) -> bool:
    """Deliver a row, if it is due and nobody else is at it; return whether it is done.

    Nothing is done either while another row of its product is delivered, or where the row's kind
    has no handler here. A failure is kept on the row, which is due again after a while. Raises only
    when the database is away.
    """
    row = _claimed(row_id)
    if row is None:
        return False
    begun = time.monotonic()
    try:
        with kept_up(lambda: _renew(row.id), _claim_s() / _RENEWALS):
            _handle(row)
    except Exception as error:
        # A verb of any app; whatever it is must not keep other rows waiting.
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
    """Deliver rows of those kinds that are due, the longest due first; return how many are done.

    Of each product that may have to be waited for only one row is delivered.
    """
    return sum(deliver(row_id) for row_id in deliverable(kinds, limit))


def deliverable(kinds: Collection[str], limit: int) -> list[UUID]:
    """Return rows of those kinds that may be delivered, one of each product.

    It is the row with the fewest failures, and of those the one that is due the longest.
    """
    chosen: dict[object, UUID] = {}
    for row_id, product_name in _rows_of(frozenset(kinds)).rows():
        chosen.setdefault(product_name or row_id, row_id)
    return list(chosen.values())[:limit]


def is_any_due(kinds: Collection[str]) -> bool:
    """Return whether a row of those kinds is due, for whoever asks again and again."""
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
    """Return the rows that are due, of products of which nobody delivers another."""
    at_work = OutboxRow.objects.filter(
        active_key=OuterRef("product_name"), claimed_until__gte=Now()
    )
    return OutboxRow.objects.due().filter(~Exists(at_work))


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
    # A kind that only a newer version knows is left to it.
    row: OutboxRow | None = _deliverable().filter(id=row_id, kind__in=list(HANDLERS)).first()
    if row is None:
        return None
    try:
        return row if _claim(row) else None
    except IntegrityError:
        # Somebody is at another row of the product since then, or was and died.
        dead = OutboxRow.objects.filter(claimed_until__lt=Now(), active_key=row.product_name)
        dead.update(active_key=None)
        return None


def _claim(row: OutboxRow) -> bool:
    """Claim the row; raises IntegrityError while another of its product bears the key."""
    until = Now() + timedelta(seconds=_claim_s())
    with transaction.atomic():
        mine = OutboxRow.objects.due().filter(id=row.id)
        return mine.update(claimed_until=until, active_key=row.product_name or None) == 1


def _claim_s() -> float:
    return float(settings.CONVEYOR_TIMES["claim_row"])


def _renew(row_id: UUID) -> None:
    """Make the claim last longer; one that has run out may be another's by now."""
    until = Now() + timedelta(seconds=_claim_s())
    OutboxRow.objects.filter(id=row_id, claimed_until__gte=Now()).update(claimed_until=until)


def _handle(row: OutboxRow) -> None:
    handler = HANDLERS[row.kind]
    subject_id = UUID(row.payload[handler.key])
    if handler.subject._default_manager.filter(pk=subject_id).exists():
        handler.do(subject_id, row.payload)


def _put_off(row: OutboxRow, error: Exception) -> None:
    if isinstance(error, ConveyorError):
        logger.warning("%s is tried again: %s", row, error)
        sentence = str(error)
    else:
        logger.error("%s is tried again after an unexpected error.", row, exc_info=error)
        sentence = f"{type(error).__name__}: {error}"
    if not (row.product_name and isinstance(error, SourceUnreachableError)):
        _wait([row.id], row.tries, sentence)
        return
    # All rows of the product wait for the same repository, so all failures count for the wait.
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
    """Make rows that have failed due again, after longer the more often they have."""
    OutboxRow.objects.filter(id__in=row_ids).update(
        tries=F("tries") + 1,
        error=error[:_ERROR_LENGTH],
        due_at=Now() + timedelta(seconds=_wait_s(tries)),
        claimed_until=None,
        active_key=None,
    )
